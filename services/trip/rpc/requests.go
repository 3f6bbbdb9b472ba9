package rpc

import (
	"fmt"

	"github.com/sluicehq/sluice/internal/errs"
	tripv1 "github.com/sluicehq/sluice/services/gen/trip/v1"
	typesv1 "github.com/sluicehq/sluice/services/gen/types/v1"
	"github.com/sluicehq/sluice/services/trip"
	types "github.com/sluicehq/sluice/services/types/rpc"
)

// position decodes a required position. A position without a time has the zero time.
func position(field string, m *typesv1.Position) (trip.Position, error) {
	if m == nil {
		return trip.Position{}, errs.Invalid(field, "is missing")
	}
	at, err := types.OptionalTime(field+".at", m.GetAt())
	if err != nil {
		return trip.Position{}, err
	}
	p := trip.Position{
		Latitude: m.GetLatitude(), Longitude: m.GetLongitude(), Accuracy: m.Accuracy,
		Place: m.GetPlace(), StartsSegment: m.GetStartsSegment(),
	}
	if at != nil {
		p.At = *at
	}
	return p, nil
}

func positions(field string, all []*typesv1.Position) ([]trip.Position, error) {
	out := make([]trip.Position, len(all))
	var err error
	for i, m := range all {
		if out[i], err = position(fmt.Sprintf("%s[%d]", field, i), m); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// rides decodes rides. An end that cannot be decoded has no time, which is a fault of that ride.
func rides(all []*tripv1.Ride) []trip.Ride {
	out := make([]trip.Ride, len(all))
	for i, m := range all {
		out[i] = trip.Ride{ExternalID: m.GetExternalId(), Start: readable(m.GetStart()), End: readable(m.GetEnd()), Metered: m.MeteredMetres}
	}
	return out
}

func readable(m *typesv1.Position) trip.Position {
	p, err := position("", m)
	if err != nil {
		return trip.Position{}
	}
	return p
}

func filter(m *tripv1.TripFilter) (f trip.Filter, err error) {
	f.AccountIDs, f.VehicleIDs = m.GetAccountIds(), m.GetVehicleIds()
	for _, s := range m.GetStatuses() {
		known, err := status(s)
		if err != nil {
			return f, err
		}
		f.Statuses = append(f.Statuses, known)
	}
	if f.StartedFrom, err = types.OptionalTime("filter.startedFrom", m.GetStartedFrom()); err != nil {
		return f, err
	}
	f.StartedBefore, err = types.OptionalTime("filter.startedBefore", m.GetStartedBefore())
	return f, err
}

func status(m tripv1.Status) (trip.Status, error) {
	switch m {
	case tripv1.Status_STATUS_UNLOCKING:
		return trip.Unlocking, nil
	case tripv1.Status_STATUS_IN_PROGRESS:
		return trip.InProgress, nil
	case tripv1.Status_STATUS_FINISHED:
		return trip.Finished, nil
	case tripv1.Status_STATUS_FAILED:
		return trip.Failed, nil
	}
	return "", errs.Invalid("filter.statuses", "%d is not a status", int32(m))
}
