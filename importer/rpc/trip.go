package rpc

import (
	"context"

	"github.com/sluicehq/sluice/importer"
	"github.com/sluicehq/sluice/recordings"
	tripv1 "github.com/sluicehq/sluice/services/gen/trip/v1"
	typesv1 "github.com/sluicehq/sluice/services/gen/types/v1"
)

type trips struct{ client tripv1.TripsClient }

func (t trips) ImportFixes(ctx context.Context, r importer.Recording, externalID string, fixes []recordings.Fix) (importer.Added, error) {
	request := &tripv1.ImportFixesRequest{
		Source: r.Source, AccountId: r.AccountID, VehicleId: r.VehicleID, ExternalId: externalID,
		Fixes: make([]*typesv1.Position, len(fixes)),
	}
	for i, f := range fixes {
		p := position(f.Latitude, f.Longitude, f.At)
		p.Accuracy, p.StartsSegment = f.AccuracyMetres, f.StartsSegment
		request.Fixes[i] = p
	}
	reply, err := t.client.ImportFixes(ctx, request)
	return importer.Added{Created: reply.GetCreated(), Stored: reply.GetStored(), Rejected: reply.GetRejected()}, err
}

func (t trips) ImportRides(ctx context.Context, r importer.Recording, rides []recordings.Ride) (importer.Written, map[string]string, error) {
	request := &tripv1.ImportRidesRequest{
		Source: r.Source, AccountId: r.AccountID, VehicleId: r.VehicleID, Rides: make([]*tripv1.Ride, len(rides)),
	}
	for i, ride := range rides {
		request.Rides[i] = &tripv1.Ride{
			ExternalId: ride.Key, MeteredMetres: ride.MeteredMetres,
			Start: position(ride.From.Latitude, ride.From.Longitude, ride.Start),
			End:   position(ride.To.Latitude, ride.To.Longitude, ride.End),
		}
	}
	reply, err := t.client.ImportRides(ctx, request)
	if err != nil {
		return importer.Written{}, nil, err
	}
	faults := map[string]string{}
	for _, fault := range reply.GetFaults() {
		faults[fault.GetExternalId()] = fault.GetReason()
	}
	return importer.Written{Stored: reply.GetStored(), Updated: reply.GetUpdated()}, faults, nil
}
