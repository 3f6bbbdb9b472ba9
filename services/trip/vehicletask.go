package trip

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
)

// A vehicle that opens on command makes a trip of two services, which no transaction spans. What is
// still to be done about the vehicle is an Errand, kept with the trip by the same write that makes it
// necessary, and run until it is done. The device service does each errand once, however often it is
// asked: for the trip's id.

// Errand is what is still to be done about the vehicle of a trip.
type Errand string

// The errands.
const (
	NoErrand     Errand = ""
	UnlockErrand Errand = "UNLOCK"
	LockErrand   Errand = "LOCK" // have it locked, and made sure that it stays
)

// How errands are run.
const (
	unlockTimeout = 30 * time.Second // the vehicle has to open
	unlockGrace   = 15 * time.Second // after it, for the device service to say what became of it
	errandHead    = time.Second      // that who made an errand has to run it
	errandWait    = errandHead / 2   // how long who made it waits for it
	errandAgain   = 2 * time.Second  // until it is looked at again
	errandPoll    = time.Second
	errandBatch   = 64
)

// Opening is how it stands with the opening of a vehicle for a trip.
type Opening struct {
	TripID string
	Done   bool      // it is over
	Open   bool      // then: whether the vehicle is open
	At     time.Time // then: since when
	Reason string    // then: why it is not open
}

// begun is a trip on a vehicle that has yet to open: it costs nothing.
func (t Trip) begun(now time.Time) Trip {
	by, at := now.Add(unlockTimeout), now.Add(errandHead)
	t.Status, t.UnlockBy, t.Errand, t.ErrandAt = Unlocking, &by, UnlockErrand, &at
	t.DurationSeconds, t.Fee = 0, Money{Currency: t.Tariff.Currency}
	return t
}

// opened is the trip when the vehicle has opened: it starts there and then.
func (t Trip) opened(at time.Time) (Trip, Fix) {
	if at.After(t.Start.At) {
		t.Start.At = at
	}
	t.Status, t.Errand, t.ErrandAt = InProgress, NoErrand, nil
	return Observe(t, t.Start)
}

// failed is the trip when its vehicle did not open, or is not to any more.
func (t Trip) failed(reason string, now time.Time) Trip {
	end := t.Start
	if end.At = now; end.At.Before(t.Start.At) {
		end.At = t.Start.At
	}
	t.Status, t.End, t.Failure, t.Errand, t.ErrandAt = Failed, &end, reason, NoErrand, nil
	t.DurationSeconds, t.Fee = 0, Money{Currency: t.Tariff.Currency}
	return t
}

// leaving is the trip with the vehicle to be locked, if it opens on command.
func (t Trip) leaving(now time.Time) Trip {
	if t.UnlockBy == nil {
		return t
	}
	at := now.Add(errandHead)
	t.Errand, t.ErrandAt = LockErrand, &at
	return t
}

// Heard takes what became of the opening of a vehicle. It may be heard again, late, or of a trip that
// is over: a vehicle that opens for such a trip is locked.
func (s *Service) Heard(ctx context.Context, opening Opening) (Trip, error) {
	now := s.clock.Now()
	t, err := s.store.Change(ctx, opening.TripID, "", nil, func(t Trip, _ []Position) (*Change, error) {
		switch {
		case t.Status == Unlocking && !opening.Done:
			return nil, nil
		case t.Status == Unlocking && opening.Open:
			t, fix := t.opened(opening.At)
			t.Version++
			return &Change{Trip: t.AsOf(now), Fixes: []Fix{fix}, Event: Opened, At: now}, nil
		case t.Status == Unlocking:
			t.Version++
			return &Change{Trip: t.failed(opening.Reason, now), Event: GaveUp, At: now}, nil
		case t.Status == InProgress || t.Errand == LockErrand || opening.Done && !opening.Open:
			return nil, nil
		}
		return &Change{Trip: t.leaving(now), At: now}, nil
	})
	if err != nil {
		return Trip{}, fmt.Errorf("take what became of an opening: %w", err)
	}
	return t, nil
}

// runAtOnce does the errand that was just made. Who made it does not wait for long, nor for its
// success: what is not done now, Errands will do.
func (s *Service) runAtOnce(ctx context.Context, t Trip) Trip {
	ctx, cancel := context.WithTimeout(ctx, errandWait)
	defer cancel()
	if after, err := s.run(ctx, t); err == nil {
		return after
	}
	return t
}

// run does the errand of the trip, as far as it can be done now, and gives the trip as it then is.
func (s *Service) run(ctx context.Context, t Trip) (Trip, error) {
	ctx = caller.NewContext(ctx, caller.OfSystem())
	switch t.Errand {
	case UnlockErrand:
		return s.unlock(ctx, t)
	case LockErrand:
		return s.lock(ctx, t)
	}
	return t, nil
}

// unlock asks for the vehicle to open, or how that stands.
func (s *Service) unlock(ctx context.Context, t Trip) (Trip, error) {
	opening, err := s.vehicles.Unlock(ctx, t.VehicleID, t.ID, *t.UnlockBy)
	switch {
	case err != nil && refuses(err):
		opening = Opening{TripID: t.ID, Done: true, At: s.clock.Now(), Reason: errs.From(err).Reason}
	case err != nil && s.clock.Now().Before(t.UnlockBy.Add(unlockGrace)):
		return t, errors.Join(err, s.postpone(ctx, t))
	case err != nil:
		return s.giveUp(ctx, t.ID)
	}
	heard, err := s.Heard(ctx, opening)
	if err != nil || heard.Errand != UnlockErrand {
		return heard, err
	}
	return heard, s.postpone(ctx, t)
}

// giveUp fails a trip of which nobody says whether its vehicle has opened. It is locked, to be sure.
func (s *Service) giveUp(ctx context.Context, tripID string) (Trip, error) {
	now := s.clock.Now()
	return s.store.Change(ctx, tripID, "", nil, func(t Trip, _ []Position) (*Change, error) {
		if t.Status != Unlocking {
			return nil, nil
		}
		t.Version++
		return &Change{Trip: t.failed(ReasonUnlockTimeout, now).leaving(now), Event: GaveUp, At: now}, nil
	})
}

// lock has the vehicle locked: the device service goes on until it is.
func (s *Service) lock(ctx context.Context, t Trip) (Trip, error) {
	if err := s.vehicles.Lock(ctx, t.VehicleID, t.ID); err != nil && !refuses(err) {
		return t, errors.Join(err, s.postpone(ctx, t))
	}
	return t, s.store.SetErrand(ctx, t.ID, LockErrand, NoErrand, nil)
}

func (s *Service) postpone(ctx context.Context, t Trip) error {
	at := s.clock.Now().Add(errandAgain)
	return s.store.SetErrand(ctx, t.ID, t.Errand, t.Errand, &at)
}

// refuses tells whether asking again would give the same answer.
func refuses(err error) bool {
	switch errs.From(err).Code {
	case errs.FailedPrecondition, errs.NotFound, errs.InvalidArgument:
		return true
	}
	return false
}

// VehicleAt moves the trip that a vehicle is on to where the vehicle was. One that is on none, or was
// there before the trip began, moves nothing.
func (s *Service) VehicleAt(ctx context.Context, vehicleID string, position Position) error {
	now := s.clock.Now()
	position, err := live(position, now)
	if err != nil {
		return err
	}
	open, err := s.store.Open(ctx, []string{vehicleID}, nil)
	if err != nil || len(open) == 0 {
		return err
	}
	_, err = s.store.Change(ctx, open[0].ID, "", []Position{position}, func(t Trip, fresh []Position) (*Change, error) {
		if t.Status != InProgress || len(fresh) == 0 || position.At.Before(t.Start.At) || t.Fixes >= maxFixes {
			return nil, nil
		}
		t, fixes := observeAll(t, fresh)
		t.Version++
		return &Change{Trip: t.AsOf(now), Fixes: fixes, Event: Moved, At: now}, nil
	})
	if err != nil {
		return fmt.Errorf("move a trip with its vehicle: %w", err)
	}
	return nil
}

// Errands runs errands that are due. Several may work on one store.
type Errands struct {
	service *Service
	logger  *slog.Logger
}

// NewErrands makes Errands; they do nothing until Run.
func NewErrands(service *Service, logger *slog.Logger) *Errands {
	return &Errands{service: service, logger: logger}
}

// Run runs errands until ctx ends. One that fails is run again.
func (e *Errands) Run(ctx context.Context) error {
	tick := time.NewTicker(errandPoll)
	defer tick.Stop()
	failing := false
	for {
		err := e.Turn(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			e.logger.Warn("vehicles are not opened and locked", "error", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Turn runs all errands that are due now. One that fails does not keep the others.
func (e *Errands) Turn(ctx context.Context) error {
	due, err := e.service.store.Errands(ctx, e.service.clock.Now(), errandBatch)
	if err != nil {
		return err
	}
	var failures []error
	for _, t := range due {
		if _, err := e.service.run(ctx, t); err != nil {
			failures = append(failures, fmt.Errorf("the %s of trip %s: %w", t.Errand, t.ID, err))
		}
	}
	return errors.Join(failures...)
}
