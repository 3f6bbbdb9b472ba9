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

// maxFixes bounds the track of one trip: eleven days at one fix per second.
const maxFixes = 1_000_000

// Vehicles is the port to the device service.
type Vehicles interface {
	// CheckRentable refuses, for the caller in ctx, a device on which no trip can start: NOT_FOUND for an unknown
	// device, NotAVehicle for another kind, VehicleNotReady for a vehicle that is not locked.
	CheckRentable(ctx context.Context, vehicleID string) (Vehicle, error)

	// PutRide stores a ride, its end, or that it did not take place. It is idempotent. While another ride of the vehicle
	// is open, the start is not stored, and PutRide returns that ride. NOT_FOUND for an unknown vehicle.
	PutRide(ctx context.Context, ride VehicleRide) (openTripID string, err error)

	// Kind returns the kind of the vehicle, "" when it is not known.
	Kind(ctx context.Context, vehicleID string) (string, error)

	// Unlock opens the vehicle for the trip before the deadline, and returns the state of the command. It is
	// idempotent per trip. FAILED_PRECONDITION and NOT_FOUND are final.
	Unlock(ctx context.Context, vehicleID, tripID string, deadline time.Time) (Opening, error)

	// Lock locks the vehicle that was opened for the trip, and refuses later unlocks for that trip. It has no effect
	// on a vehicle that is open for another trip. After nil the device service retries until the vehicle is locked.
	Lock(ctx context.Context, vehicleID, tripID string) error
}

// Service has the use cases. It is safe for concurrent use.
type Service struct {
	store    Store
	vehicles Vehicles
	clock    clock.Clock
	tariff   Tariff
	speeds   SpeedLimits
}

// Vehicle is the part of a device that trips use.
type Vehicle struct {
	Opens bool   // it opens on command
	Kind  string // "car", "bicycle", …: a key of SpeedLimits.ByKind; "" if unknown
}

// SpeedLimits are speeds in metres a second; faster fixes are rejected.
type SpeedLimits struct {
	Default float64            // of every other vehicle; 0 for MaxSpeed
	ByKind  map[string]float64 // by the kind of the vehicle
}

func (l SpeedLimits) of(kind string) float64 {
	if limit, ok := l.ByKind[kind]; ok {
		return limit
	}
	if l.Default == 0 {
		return MaxSpeed
	}
	return l.Default
}

// New returns a Service over a store. New trips get the tariff and the speed limit.
func New(store Store, vehicles Vehicles, clock clock.Clock, tariff Tariff, speeds SpeedLimits) *Service {
	return &Service{store: store, vehicles: vehicles, clock: clock, tariff: tariff, speeds: speeds}
}

// StartInput is the input of Start.
type StartInput struct {
	VehicleID      string
	Position       Position // a position without a time is from now
	IdempotencyKey string   // "" for none
}

// Start starts a trip for the caller's account. AlreadyOpen if the account has an open trip, VehicleInUse if the
// vehicle has. The trip is in progress at once, or, on a vehicle that opens on command, after the vehicle has opened.
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
	at, err := normalizeLive(in.Position, now)
	if err != nil {
		return Trip{}, err
	}
	start := at
	if start.At.After(now) {
		start.At = now
	}
	key, err := idempotency.NewKey(ctx, in.IdempotencyKey, "StartTrip", in)
	if err != nil {
		return Trip{}, err
	}
	rented, err := s.vehicles.CheckRentable(ctx, in.VehicleID)
	if err != nil {
		return Trip{}, fmt.Errorf("check the vehicle: %w", err)
	}
	t := Trip{
		ID: ids.New(ids.Trip), Status: InProgress, Version: 1, AccountID: who.AccountID, VehicleID: in.VehicleID,
		Start: start, DistanceSource: FromTrack, MaxSpeed: s.speeds.of(rented.Kind), Tariff: s.tariff,
	}
	change := Change{Event: Started, At: now, Limited: true}
	if start.At.Before(now.Add(-ClockTolerance)) {
		change.Refusal = errs.Invalid("position.at", "is more than %d minutes in the past", int(ClockTolerance.Minutes()))
	}
	if rented.Opens {
		change.Trip = t.awaitUnlock(now)
		if t, err = s.create(ctx, key, change); err != nil {
			return Trip{}, err
		}
		return s.runTaskNow(ctx, t).AsOf(s.clock.Now()), nil
	}
	t, change.Fixes, _ = observeAll(t, rider, []Position{at}, now)
	change.Trip = t.AsOf(now)
	return s.create(ctx, key, change)
}

// create creates a trip after its ride is stored in the device service.
func (s *Service) create(ctx context.Context, key idempotency.Key, change Change) (Trip, error) {
	if change.Refusal == nil {
		var err error
		if change.Refusal, err = s.startRide(ctx, change.Trip); err != nil {
			return Trip{}, err
		}
	}
	change.Planned = change.Refusal == nil
	t, err := s.store.Create(ctx, key, change)
	if change.Planned && (err != nil || t.ID != change.Trip.ID) {
		s.cancelRide(ctx, change.Trip.ride())
	}
	return t, err
}

// ReportPosition adds a fix to an open trip that the caller may change. A duplicate fix has no effect.
func (s *Service) ReportPosition(ctx context.Context, tripID string, position Position) (Trip, error) {
	who, err := requireTrip(ctx, tripID)
	if err != nil {
		return Trip{}, err
	}
	now := s.clock.Now()
	if position, err = normalizeLive(position, now); err != nil {
		return Trip{}, err
	}
	t, err := s.store.Change(ctx, tripID, ownerFilter(who), []Position{position}, func(t Trip, fresh []Position) (*Change, error) {
		if err := checkChange(who, t, len(fresh)); err != nil || len(fresh) == 0 {
			return nil, err
		}
		if t.Status == Unlocking {
			return nil, errUnlocking()
		}
		t, fixes, recounts := observeAll(t, rider, fresh, now)
		t.Version++
		return &Change{Trip: t.AsOf(now), Fixes: fixes, Recounts: recounts, Event: Moved, At: now, Limited: true}, nil
	})
	return t.AsOf(now), err
}

// EndInput is the input of End.
type EndInput struct {
	TripID          string
	Position        *Position // the last fix; nil for none
	ExpectedVersion *int64    // nil accepts any version
}

// End ends an open trip that the caller may change, and locks the vehicle. A trip whose vehicle has not opened yet is
// FAILED. VERSION_CONFLICT if the trip is not at the expected version.
func (s *Service) End(ctx context.Context, in EndInput) (Trip, error) {
	who, err := requireTrip(ctx, in.TripID)
	if err != nil {
		return Trip{}, err
	}
	now := s.clock.Now()
	var last []Position
	if in.Position != nil {
		position, err := normalizeLive(*in.Position, now)
		if err != nil {
			return Trip{}, err
		}
		last = []Position{position}
	}
	t, err := s.store.Change(ctx, in.TripID, ownerFilter(who), last, func(t Trip, fresh []Position) (*Change, error) {
		if err := checkChange(who, t, len(fresh)); err != nil {
			return nil, err
		}
		if in.ExpectedVersion != nil && *in.ExpectedVersion != t.Version {
			return nil, errs.Conflict("trip", *in.ExpectedVersion, t.Version)
		}
		if t.Status == Unlocking {
			t.Version++
			return &Change{Trip: t.failed(ReasonEndedEarly, now).withLockTask(now).withRideDue(now), Event: UnlockFailed, At: now}, nil
		}
		t, fixes, recounts := observeAll(t, rider, fresh, now)
		t.Version++
		return &Change{Trip: t.finish(now).withLockTask(now).withRideDue(now), Fixes: fixes, Recounts: recounts, Event: Ended, At: now}, nil
	})
	if err != nil {
		return Trip{}, err
	}
	s.storeRideNow(ctx, t)
	s.runTaskNow(ctx, t)
	return t, nil
}

// ownerFilter returns the account whose trips the caller may change; "" for all.
func ownerFilter(who caller.Caller) string {
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

// checkChange refuses a trip that the caller may not see, a finished trip, and a full track.
func checkChange(who caller.Caller, t Trip, more int) error {
	switch {
	case !entity.Trip.Sees(who, t.Facts()):
		return errs.Missing("trip", t.ID)
	case !t.Status.Open():
		return errOver(t)
	case t.Fixes+int64(more) > maxFixes:
		return errTrackFull()
	}
	return nil
}
