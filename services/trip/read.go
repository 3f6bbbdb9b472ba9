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
	maxPoints = 10_000 // fixes of one track
	// maxAnswer limits the fixes of one response, which must fit a gRPC message. Many tracks are thinned more.
	maxAnswer = 100_000
)

// BatchGet returns the existing trips that the caller may see.
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
	return s.visible(who, trips), nil
}

// BatchGetOpen returns the open trips of the vehicles or accounts that the caller may see.
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
	return s.visible(who, trips), nil
}

func (s *Service) visible(who caller.Caller, trips []Trip) []Trip {
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

// List returns a page of the trips that the caller may see, the newest start first.
func (s *Service) List(ctx context.Context, filter Filter, request page.Request) (page.Page[Trip], error) {
	who, err := caller.Require(ctx, caller.TripRead)
	if err != nil {
		return page.Page[Trip]{}, err
	}
	filter, possible, err := filter.restrict(who)
	if err != nil {
		return page.Page[Trip]{}, err
	}
	if !possible {
		return page.Empty[Trip](request)
	}
	trips, err := s.store.List(ctx, filter, request)
	if err != nil {
		return page.Page[Trip]{}, err
	}
	s.refresh(trips.Items)
	return trips, nil
}

// restrict narrows the filter to the trips that the caller may see; false if none can match.
func (f Filter) restrict(who caller.Caller) (narrow Filter, possible bool, err error) {
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
	if matchesNothing(f.AccountIDs, accounts) || matchesNothing(f.VehicleIDs, vehicles) {
		return f, false, nil
	}
	f.AccountIDs, f.VehicleIDs = accounts, vehicles
	owner, possible := entity.Trip.Visibility(who).OwnerOnly()
	if owner == "" {
		return f, possible, nil
	}
	f.AccountIDs = []string{owner}
	return f, len(accounts) == 0 || slices.Contains(accounts, owner), nil
}

// matchesNothing reports whether a request has only impossible ids. Such a filter matches nothing, while an empty
// filter matches everything.
func matchesNothing(requested, valid []string) bool { return len(requested) > 0 && len(valid) == 0 }

func (f Filter) checkTimes() error {
	if _, err := input.OptionalTime("filter.startedFrom", f.StartedFrom); err != nil {
		return err
	}
	_, err := input.OptionalTime("filter.startedBefore", f.StartedBefore)
	return err
}

// BatchGetTracks returns the tracks of the trips that the caller may see, ordered by time. Each has at most limit
// fixes (1 to 10,000): longer tracks are thinned evenly, with their first and last fix.
func (s *Service) BatchGetTracks(ctx context.Context, tripIDs []string, limit int) ([]Track, error) {
	who, err := caller.Require(ctx, caller.TripRead)
	if err != nil {
		return nil, err
	}
	if limit < 1 || limit > maxPoints {
		return nil, errs.Invalid("maxPoints", "must be between 1 and %d", maxPoints)
	}
	tripIDs, err = input.IDs("tripIds", ids.Trip, tripIDs)
	if err != nil || len(tripIDs) == 0 {
		return nil, err
	}
	owner, possible := entity.Trip.Visibility(who).OwnerOnly()
	if !possible {
		return nil, nil
	}
	return s.store.Tracks(ctx, tripIDs, owner, min(limit, maxAnswer/len(tripIDs)))
}
