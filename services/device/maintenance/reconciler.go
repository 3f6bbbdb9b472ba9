// Package attendant looks after what is due: it has commands sent that were not sent and ended that are
// past their deadline, vehicles locked that are to be locked, streams started and stopped.
package maintenance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
)

// How the attendant looks for what is due.
const (
	poll  = time.Second // other processes write too, and cannot wake us
	rest  = 5 * time.Millisecond
	batch = 64
)

// Store tells when something is due.
type Store interface {
	// NextDue tells when a command or a lock is due next; nil when none is.
	NextDue(ctx context.Context) (*time.Time, error)
}

// Duty is something that has to be done for devices, commands or whatever has an id, when it is due.
type Duty struct {
	// Due gives what is to be looked after at now, the most urgent first.
	Due func(ctx context.Context, now time.Time, most int) ([]string, error)
	// Do looks after one. It may be called again, and at once in several processes.
	Do func(ctx context.Context, id string) error
}

// Attendant does what is due. Several may work on one store; what is due is in the store, so that none is
// forgotten when a process dies.
type Attendant struct {
	store  Store
	clock  clock.Clock
	logger *slog.Logger
	duties []Duty
}

// New makes an Attendant; it does nothing until Run.
func New(store Store, clock clock.Clock, logger *slog.Logger, duties ...Duty) *Attendant {
	return &Attendant{store: store, clock: clock, logger: logger, duties: duties}
}

// Turn does all that is due now. One that fails does not keep the others.
func (a *Attendant) Turn(ctx context.Context) error {
	var failures []error
	for _, duty := range a.duties {
		failures = append(failures, each(ctx, duty, a.clock.Now()))
	}
	return errors.Join(failures...)
}

// Run attends until ctx ends. It looks when the next time comes and every second. What fails is tried
// again.
func (a *Attendant) Run(ctx context.Context) error {
	failing := false
	for ctx.Err() == nil {
		err := a.Turn(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && !failing {
			a.logger.Error("what is due for devices is not done", "error", err)
		}
		if err == nil && failing {
			a.logger.Info("what is due for devices is done again")
		}
		failing = err != nil
		a.wait(ctx, failing)
	}
	return nil
}

// each does what is due, in batches, until there is no more or a batch fails.
func each(ctx context.Context, duty Duty, now time.Time) error {
	for {
		found, err := duty.Due(ctx, now, batch)
		if err != nil {
			return fmt.Errorf("look for what is due: %w", err)
		}
		var failures []error
		for _, id := range found {
			if err := duty.Do(ctx, id); err != nil && !isMissing(err) {
				failures = append(failures, err)
			}
		}
		if len(failures) > 0 || len(found) < batch {
			return errors.Join(failures...)
		}
	}
}

// isMissing tells that what was due is gone.
func isMissing(err error) bool { return errs.From(err).Code == errs.NotFound }

// wait ends at the next time that something is due, and after poll at the latest.
func (a *Attendant) wait(ctx context.Context, failing bool) {
	pause := poll
	if next, err := a.store.NextDue(ctx); !failing && err == nil && next != nil {
		pause = min(pause, max(next.Sub(a.clock.Now()), rest))
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
