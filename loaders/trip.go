package loaders

import "github.com/sluicehq/sluice/bff"

// Trips loads trips by id.
func Trips(p Ports) Batch[string, *bff.Trip] { return byID("trip", p.Trips.GetTrips) }

// OpenTrips loads the open trip of each vehicle; nil for a vehicle without one.
func OpenTrips(p Ports) Batch[string, *bff.Trip] { return optional(p.Trips.GetOpenTripsByVehicle) }

// TrackKey selects the track of a trip.
type TrackKey struct {
	TripID    string
	MaxPoints int
}

// Tracks loads the tracks of trips.
func Tracks(p Ports) Batch[TrackKey, []*bff.Position] {
	split := func(k TrackKey) (string, int) { return k.TripID, k.MaxPoints }
	return grouped(split, p.Trips.GetTracks)
}
