package loaders

import (
	"context"

	"github.com/sluicehq/sluice/bff"
)

func trips(port bff.Trips) Batch[string, *bff.Trip] {
	return nodes("trip", port.GetTrips)
}

// tripsOnVehicles gives nil for a vehicle that is on no trip.
func tripsOnVehicles(port bff.Trips) Batch[string, *bff.Trip] {
	return func(ctx context.Context, vehicleIDs []string) ([]*bff.Trip, []error) {
		found, err := port.GetOpenTripsByVehicle(ctx, vehicleIDs)
		if err != nil {
			return make([]*bff.Trip, len(vehicleIDs)), all(len(vehicleIDs), err)
		}
		return pick(vehicleIDs, found, func(string) error { return nil })
	}
}

// TrackKey asks for a trip's track.
type TrackKey struct {
	TripID    string
	MaxPoints int
}

func tracks(port bff.Trips) Batch[TrackKey, []*bff.Position] {
	split := func(k TrackKey) (string, int) { return k.TripID, k.MaxPoints }
	return grouped(split, port.GetTracks)
}
