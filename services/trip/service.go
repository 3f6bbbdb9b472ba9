package trip

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/input"
)

// maxFixes bounds the track of one trip: eleven days at one fix a second.
const maxFixes = 1_000_000

// Vehicles knows what can be driven.
type Vehicles interface {
	// Rentable refuses, on behalf of the caller in ctx, what no trip can start on: NOT_FOUND for a
	// device that there is not, NotAVehicle for one of another kind, VehicleNotReady for one that is
	// not locked. It tells whether the vehicle opens on command.
	CheckRentable(ctx context.Context, vehicleID string) (opens bool, err error)

	// Unlock has the vehicle open for the trip, by the deadline or not at all, and tells how that
	// stands; asked again for the trip, it only tells. An error that says that it cannot be
	// (FAILED_PRECONDITION, NOT_FOUND) is an end.
	Unlock(ctx context.Context, vehicleID, tripID string, deadline time.Time) (Opening, error)

	// Lock has the vehicle locked that was opened for the trip, and lets nobody open it for the trip
	// any more. It does nothing to a vehicle that is open for another. nil: it will be done.
	Lock(ctx context.Context, vehicleID, tripID string) error
}

// Service is the use cases. It is safe for concurrent use.
type Service struct {
	store    Store
	vehicles Vehicles
	clock    clock.Clock
	tariff   Tariff
}

// New gives the use cases over a store. The tariff is that of trips that start from now on.
func New(store Store, vehicles Vehicles, clock clock.Clock, tariff Tariff) *Service {
	return &Service{store: store, vehicles: vehicles, clock: clock, tariff: tariff}
}

// StartInput asks for a trip of the caller.
type StartInput struct {
	VehicleID      string
	Position       Position // without a time: of now
	IdempotencyKey string   // "" for none
}

// Start starts a trip of the caller's account: AlreadyOpen when it has an open one, VehicleInUse
// when the vehicle has. The trip is in progress at once, or, on a vehicle that opens on command, when
// the vehicle has opened.
func (s *Service) Start(ctx context.Context, in StartInput) (Trip, error) {
	who, err := caller.Require(ctx, caller.TripWrite)
	if err != nil {
		return Trip{}, err
	}
	if who.AccountID == "" {
		return Trip{}, errs.Denied("a trip belongs to an account, and this caller has none")
	}
	if err := input.ID("vehicleId", ids.Device, in.VehicleID); err != nil {
		return Trip{}, err
	}
	now := s.clock.Now()
	at, err := live(in.Position, now)
	if err != nil {
		return Trip{}, err
	}
	key, err := idempotency.NewKey(ctx, in.IdempotencyKey, "StartTrip", in)
	if err != nil {
		return Trip{}, err
	}
	opens, err := s.vehicles.CheckRentable(ctx, in.VehicleID)
	if err != nil {
		return Trip{}, fmt.Errorf("ask for the vehicle: %w", err)
	}
	start := at
	if start.At.After(now) {
		start.At = now
	}
	t := Trip{
		ID: ids.New(ids.Trip), Status: InProgress, Version: 1, AccountID: who.AccountID, VehicleID: in.VehicleID,
		Start: start, DistanceSource: FromTrack, Tariff: s.tariff,
	}
	if opens {
		return s.startUnlocking(ctx, key, t.awaitUnlock(now), now)
	}
	t, fix := Observe(t, at)
	return s.store.Create(ctx, key, Change{Trip: t.AsOf(now), Fixes: []Fix{fix}, Event: Started, At: now})
}

func (s *Service) startUnlocking(ctx context.Context, key idempotency.Key, t Trip, now time.Time) (Trip, error) {
	t, err := s.store.Create(ctx, key, Change{Trip: t, Event: Started, At: now})
	if err != nil {
		return Trip{}, err
	}
	return s.runTaskNow(ctx, t).AsOf(s.clock.Now()), nil
}

// ReportPosition adds a fix to an open trip that the caller may act on. A fix that is there already
// leaves the trip as it is.
func (s *Service) ReportPosition(ctx context.Context, tripID string, position Position) (Trip, error) {
	who, err := requireTrip(ctx, tripID)
	if err != nil {
		return Trip{}, err
	}
	now := s.clock.Now()
	if position, err = live(position, now); err != nil {
		return Trip{}, err
	}
	t, err := s.store.Change(ctx, tripID, ownOnly(who), []Position{position}, func(t Trip, fresh []Position) (*Change, error) {
		if err := mayChange(who, t, len(fresh)); err != nil || len(fresh) == 0 {
			return nil, err
		}
		if t.Status == Unlocking {
			return nil, isUnlocking()
		}
		t, fixes := observeAll(t, fresh)
		t.Version++
		return &Change{Trip: t.AsOf(now), Fixes: fixes, Event: Moved, At: now}, nil
	})
	return t.AsOf(now), err
}

// EndInput asks to end a trip.
type EndInput struct {
	TripID          string
	Position        *Position // a last fix; nil for none
	ExpectedVersion *int64    // nil for any
}

// End ends an open trip that the caller may act on, for good: one whose vehicle has not opened yet is
// FAILED. VERSION_CONFLICT when it is not at the expected version. The vehicle is locked after it.
func (s *Service) End(ctx context.Context, in EndInput) (Trip, error) {
	who, err := requireTrip(ctx, in.TripID)
	if err != nil {
		return Trip{}, err
	}
	now := s.clock.Now()
	var last []Position
	if in.Position != nil {
		position, err := live(*in.Position, now)
		if err != nil {
			return Trip{}, err
		}
		last = []Position{position}
	}
	t, err := s.store.Change(ctx, in.TripID, ownOnly(who), last, func(t Trip, fresh []Position) (*Change, error) {
		if err := mayChange(who, t, len(fresh)); err != nil {
			return nil, err
		}
		if in.ExpectedVersion != nil && *in.ExpectedVersion != t.Version {
			return nil, errs.Conflict("trip", *in.ExpectedVersion, t.Version)
		}
		if t.Status == Unlocking {
			t.Version++
			return &Change{Trip: t.failed(ReasonEndedEarly, now).withLockTask(now), Event: GaveUp, At: now}, nil
		}
		t, fixes := observeAll(t, fresh)
		t.Version++
		return &Change{Trip: t.finish(now).withLockTask(now), Fixes: fixes, Event: Ended, At: now}, nil
	})
	if err != nil {
		return Trip{}, err
	}
	s.runTaskNow(ctx, t)
	return t, nil
}

// ownOnly is the account whose trips alone the caller may act on; "" when it may act on all.
func ownOnly(who caller.Caller) string {
	return entity.Trip.Visibility(who).Owner
}

func requireTrip(ctx context.Context, tripID string) (caller.Caller, error) {
	who, err := caller.Require(ctx, caller.TripWrite)
	if err != nil {
		return caller.Caller{}, err
	}
	if err := input.ID("tripId", ids.Trip, tripID); err != nil {
		return caller.Caller{}, err
	}
	return who, nil
}

// mayChange refuses what the caller may not know of, what is over, and what is full.
func mayChange(who caller.Caller, t Trip, more int) error {
	switch {
	case !entity.Trip.Sees(who, t.Facts()):
		return errs.Missing("trip", t.ID)
	case !t.Status.Open():
		return isOver(t)
	case t.Fixes+int64(more) > maxFixes:
		return trackFull()
	}
	return nil
}
