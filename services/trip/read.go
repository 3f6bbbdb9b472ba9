package trip

import (
	"context"
	"slices"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/input"
	"github.com/sluicehq/sluice/internal/page"
)

const (
	maxPoints = 10_000 // fixes a track
	// maxAnswer is how many fixes one answer holds, so that it fits a message: many tracks are
	// thinned more.
	maxAnswer = 100_000
)

// BatchGet gives those of the trips that there are and the caller may see.
func (s *Service) BatchGet(ctx context.Context, tripIDs []string) ([]Trip, error) {
	who, err := caller.Require(ctx, caller.TripRead)
	if err != nil {
		return nil, err
	}
	tripIDs, err = input.IDs("ids", ids.Trip, tripIDs)
	if err != nil || len(tripIDs) == 0 {
		return nil, err
	}
	trips, err := s.store.Get(ctx, tripIDs)
	if err != nil {
		return nil, err
	}
	return s.shown(who, trips), nil
}

// BatchGetOpen gives those open trips on the vehicles or of the accounts that the caller may see.
func (s *Service) BatchGetOpen(ctx context.Context, vehicleIDs, accountIDs []string) ([]Trip, error) {
	who, err := caller.Require(ctx, caller.TripRead)
	if err != nil {
		return nil, err
	}
	if vehicleIDs, err = input.IDs("vehicleIds", ids.Device, vehicleIDs); err != nil {
		return nil, err
	}
	if accountIDs, err = input.IDs("accountIds", ids.Account, accountIDs); err != nil {
		return nil, err
	}
	if len(vehicleIDs)+len(accountIDs) == 0 {
		return nil, nil
	}
	trips, err := s.store.Open(ctx, vehicleIDs, accountIDs)
	if err != nil {
		return nil, err
	}
	return s.shown(who, trips), nil
}

// shown is what the caller may see of the trips, as of now.
func (s *Service) shown(who caller.Caller, trips []Trip) []Trip {
	trips = slices.DeleteFunc(trips, func(t Trip) bool { return !entity.Trip.Sees(who, t.Facts()) })
	s.refresh(trips)
	return trips
}

func (s *Service) refresh(trips []Trip) {
	now := s.clock.Now()
	for i, t := range trips {
		trips[i] = t.AsOf(now)
	}
}

// List gives a page of the trips that the caller may see, the newest start first.
func (s *Service) List(ctx context.Context, filter Filter, request page.Request) (page.Page[Trip], error) {
	who, err := caller.Require(ctx, caller.TripRead)
	if err != nil {
		return page.Page[Trip]{}, err
	}
	filter, some, err := filter.narrowed(who)
	if err != nil {
		return page.Page[Trip]{}, err
	}
	if !some {
		return page.Empty[Trip](request)
	}
	trips, err := s.store.List(ctx, filter, request)
	if err != nil {
		return page.Page[Trip]{}, err
	}
	s.refresh(trips.Items)
	return trips, nil
}

// narrowed is the filter for what the caller may see of it; some is false when that is nothing.
func (f Filter) narrowed(who caller.Caller) (narrow Filter, some bool, err error) {
	if err := f.checkTimes(); err != nil {
		return f, false, err
	}
	accounts, err := input.IDs("filter.accountIds", ids.Account, f.AccountIDs)
	if err != nil {
		return f, false, err
	}
	vehicles, err := input.IDs("filter.vehicleIds", ids.Device, f.VehicleIDs)
	if err != nil {
		return f, false, err
	}
	if emptied(f.AccountIDs, accounts) || emptied(f.VehicleIDs, vehicles) {
		return f, false, nil
	}
	f.AccountIDs, f.VehicleIDs = accounts, vehicles
	owner, some := entity.Trip.Visibility(who).OwnerOnly()
	if owner == "" {
		return f, some, nil
	}
	f.AccountIDs = []string{owner}
	return f, len(accounts) == 0 || slices.Contains(accounts, owner), nil
}

// emptied tells whether ids were asked for of which none can exist: that narrows to nothing, where
// no ids do not narrow.
func emptied(asked, known []string) bool { return len(asked) > 0 && len(known) == 0 }

func (f Filter) checkTimes() error {
	if _, err := input.OptionalTime("filter.startedFrom", f.StartedFrom); err != nil {
		return err
	}
	_, err := input.OptionalTime("filter.startedBefore", f.StartedBefore)
	return err
}

// BatchGetTracks gives the tracks of those of the trips that the caller may see, by time, each of at
// most most fixes (1 to 10,000): longer ones are thinned evenly and keep their ends.
func (s *Service) BatchGetTracks(ctx context.Context, tripIDs []string, most int) ([]Track, error) {
	who, err := caller.Require(ctx, caller.TripRead)
	if err != nil {
		return nil, err
	}
	if most < 1 || most > maxPoints {
		return nil, errs.Invalid("maxPoints", "must be between 1 and %d", maxPoints)
	}
	tripIDs, err = input.IDs("tripIds", ids.Trip, tripIDs)
	if err != nil || len(tripIDs) == 0 {
		return nil, err
	}
	owner, some := entity.Trip.Visibility(who).OwnerOnly()
	if !some {
		return nil, nil
	}
	return s.store.Tracks(ctx, tripIDs, owner, min(most, maxAnswer/len(tripIDs)))
}
