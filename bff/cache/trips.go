package cache

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/cache/policy"
	bffentity "github.com/sluicehq/sluice/bff/entity"
	"github.com/sluicehq/sluice/internal/entity"
)

// trips is a cached port. Embedded methods bypass the cache.
type trips struct {
	bff.Trips
	cache     *Cache
	get       *read[*bff.Trip]
	list      *read[bff.Page[bff.Trip]]
	onVehicle *read[*bff.Trip]
	ofAccount *read[*bff.Trip]

	listArgs arguments[tripListArgs]
}

type tripListArgs struct {
	Filter *bff.TripFilter
	Page   bff.PageRequest
}

// Trips wraps the port in the cache.
func (c *Cache) Trips(port bff.Trips) bff.Trips {
	endedTTL := c.rules["Trips.GetTrips"].TTL
	return trips{
		Trips: port, cache: c,
		get: newRead(c, "Trips.GetTrips", true, func(t *bff.Trip) time.Duration { return tripTTL(endedTTL, t) }),
		list: newRead(c, "Trips.ListTrips", false, func(p bff.Page[bff.Trip]) time.Duration {
			return tripTTL(endedTTL, p.Items...)
		}),
		onVehicle: newRead[*bff.Trip](c, "Trips.GetOpenTripsByVehicle", false, nil),
		ofAccount: newRead[*bff.Trip](c, "Trips.GetOpenTripOfAccount", false, nil),
		listArgs:  newArguments[tripListArgs](),
	}
}

func tripTTL(endedTTL time.Duration, all ...*bff.Trip) time.Duration {
	for _, t := range all {
		if t.Status == "UNLOCKING" || t.Status == "IN_PROGRESS" {
			return bffentity.InProgressTTL
		}
	}
	return endedTTL
}

func (t trips) GetTrips(ctx context.Context, ids []string) ([]*bff.Trip, error) {
	found, err := t.get.get(ctx, "", ids, func(ctx context.Context, ids []string) (map[string]*bff.Trip, error) {
		return byID(t.Trips.GetTrips(ctx, ids))
	})
	return inOrder(ids, found, err)
}

func (t trips) ListTrips(ctx context.Context, filter *bff.TripFilter, page bff.PageRequest) (bff.Page[bff.Trip], error) {
	return getSingle(ctx, t.list, t.listArgs.key(tripListArgs{filter, page}), func(ctx context.Context) (bff.Page[bff.Trip], error) {
		return t.Trips.ListTrips(ctx, filter, page)
	})
}

func (t trips) GetOpenTripsByVehicle(ctx context.Context, vehicleIDs []string) (map[string]*bff.Trip, error) {
	return t.onVehicle.get(ctx, "", vehicleIDs, t.Trips.GetOpenTripsByVehicle)
}

func (t trips) GetOpenTripOfAccount(ctx context.Context, accountID string) (*bff.Trip, error) {
	found, err := t.ofAccount.get(ctx, "", []string{accountID}, func(ctx context.Context, _ []string) (map[string]*bff.Trip, error) {
		trip, err := t.Trips.GetOpenTripOfAccount(ctx, accountID)
		if err != nil || trip == nil {
			return nil, err
		}
		return map[string]*bff.Trip{accountID: trip}, nil
	})
	return found[accountID], err
}

func (t trips) GetTracks(ctx context.Context, tripIDs []string, maxPoints int) (map[string][]*bff.Position, error) {
	bff.ReadsOf(ctx).NoteUncacheable("Trips.GetTracks")
	return t.Trips.GetTracks(ctx, tripIDs, maxPoints)
}

func (t trips) StartTrip(ctx context.Context, input bff.StartTripInput) (*bff.Trip, error) {
	return write(ctx, t.cache, "Trips.StartTrip", nil, func(ctx context.Context) (*bff.Trip, error) {
		return t.Trips.StartTrip(ctx, input)
	}, policy.Tags(entity.Device, input.VehicleID)...)
}

func (t trips) ReportPosition(ctx context.Context, tripID string, position bff.PositionInput) (*bff.Trip, error) {
	return write(ctx, t.cache, "Trips.ReportPosition", []string{tripID}, func(ctx context.Context) (*bff.Trip, error) {
		return t.Trips.ReportPosition(ctx, tripID, position)
	})
}

func (t trips) EndTrip(ctx context.Context, tripID string, position *bff.PositionInput, expectedVersion *int) (*bff.Trip, error) {
	return write(ctx, t.cache, "Trips.EndTrip", []string{tripID}, invalidatingDevice(t.cache, func(ctx context.Context) (*bff.Trip, error) {
		return t.Trips.EndTrip(ctx, tripID, position, expectedVersion)
	}, func(trip *bff.Trip) string { return trip.VehicleID }), string(entity.Device))
}
