package rpc

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	tripv1 "github.com/sluicehq/sluice/services/gen/trip/v1"
	typesv1 "github.com/sluicehq/sluice/services/gen/types/v1"
	"github.com/sluicehq/sluice/services/trip"
)

// EncodeTrip returns the payload of the events of a trip.
func EncodeTrip(t trip.Trip) ([]byte, error) {
	out, err := proto.Marshal(message(t))
	if err != nil {
		return nil, fmt.Errorf("write trip %s: %w", t.ID, err)
	}
	return out, nil
}

func message(t trip.Trip) *tripv1.Trip {
	m := &tripv1.Trip{
		Id: t.ID, Status: statusMessage(t.Status), Version: t.Version, AccountId: t.AccountID, VehicleId: t.VehicleID,
		Start: positionMessage(t.Start), Current: positionMessage(t.Current()),
		DistanceMetres: t.DistanceMetres, DistanceSource: sourceMessage(t.DistanceSource), DurationSeconds: t.DurationSeconds,
		Fee:     &tripv1.Money{AmountMinor: t.Fee.AmountMinor, Currency: t.Fee.Currency},
		Failure: t.Failure,
	}
	if t.End != nil {
		m.End = positionMessage(*t.End)
	}
	return m
}

func statusMessage(s trip.Status) tripv1.Status {
	switch s {
	case trip.Unlocking:
		return tripv1.Status_STATUS_UNLOCKING
	case trip.InProgress:
		return tripv1.Status_STATUS_IN_PROGRESS
	case trip.Finished:
		return tripv1.Status_STATUS_FINISHED
	case trip.Failed:
		return tripv1.Status_STATUS_FAILED
	}
	return tripv1.Status_STATUS_UNSPECIFIED
}

func sourceMessage(s trip.DistanceSource) tripv1.DistanceSource {
	switch s {
	case trip.FromTrack:
		return tripv1.DistanceSource_DISTANCE_SOURCE_TRACK
	case trip.FromMeter:
		return tripv1.DistanceSource_DISTANCE_SOURCE_METER
	}
	return tripv1.DistanceSource_DISTANCE_SOURCE_UNSPECIFIED
}

func positionMessage(p trip.Position) *typesv1.Position {
	return &typesv1.Position{
		Latitude: p.Latitude, Longitude: p.Longitude, At: timestamppb.New(p.At), Accuracy: p.Accuracy,
		Place: p.Place, StartsSegment: p.StartsSegment,
	}
}

func trackMessage(track trip.Track) *tripv1.Track {
	m := &tripv1.Track{TripId: track.TripID, Positions: make([]*typesv1.Position, len(track.Fixes))}
	for i, fix := range track.Fixes {
		m.Positions[i] = positionMessage(fix.Position)
		m.Positions[i].Counted = fix.Counted()
	}
	return m
}
