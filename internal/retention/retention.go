// Package retention lets go of what is old, so that nothing that is written again and again grows for
// ever.
//
// What is to go is Tasks. The Sweeper does them one after another, now and every ten minutes, until it is
// stopped; one that fails does not keep the others and is tried again at the next sweep. A sweep is bounded:
// it lets go in small transactions, of a limited number, with a pause for those who write meanwhile. Any
// number of processes may sweep the same rows.
package retention

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/sluicehq/sluice/internal/clock"
)

const (
	every = 10 * time.Minute
	batch = 500 // rows that are let go at once
	most  = 200 // batches a sweep and task
	pause = 5 * time.Millisecond
)

// Task lets go of one kind of things.
type Task struct {
	What string // in words, as in "finished commands"
	Do   func(ctx context.Context, now time.Time) error
}

// Forget drops at most so many of what is before the time, the oldest first, and tells how many it dropped;
// 0 when nothing is left.
type Forget func(ctx context.Context, before time.Time, most int) (int64, error)

// After is the task that keeps things for a time; for ever when that is 0.
func After(what string, keep time.Duration, forget Forget) Task {
	return Task{What: what, Do: func(ctx context.Context, now time.Time) error {
		if keep <= 0 {
			return nil
		}
		return batches(ctx, func() (int64, error) { return forget(ctx, now.Add(-keep), batch) })
	}}
}

// batches does one after another until there is nothing left or it was enough for a sweep.
func batches(ctx context.Context, do func() (int64, error)) error {
	for range most {
		if n, err := do(); err != nil || n == 0 {
			return err
		}
		if err := rest(ctx, pause); err != nil {
			return err
		}
	}
	return nil
}

// Turns is the task that looks after things with an id in turn, so many a sweep: next gives those behind
// an id, in order. do drops at most so many rows, and tells how many it dropped.
func Turns(what string, each int, next func(ctx context.Context, after string, limit int) ([]string, error), do func(ctx context.Context, id string, most int) (int64, error)) Task {
	after := ""
	return Task{What: what, Do: func(ctx context.Context, _ time.Time) error {
		found, err := next(ctx, after, each)
		if err != nil {
			return err
		}
		after = ""
		if len(found) == each {
			after = found[each-1]
		}
		for _, id := range found {
			if err := batches(ctx, func() (int64, error) { return do(ctx, id, batch) }); err != nil {
				return fmt.Errorf("of %s: %w", id, err)
			}
		}
		return nil
	}}
}

func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Sweeper does tasks. It is for one goroutine.
type Sweeper struct {
	clock  clock.Clock
	logger *slog.Logger
	tasks  []Task
}

// New gives a Sweeper, which does nothing until Run.
func New(clock clock.Clock, logger *slog.Logger, tasks ...Task) *Sweeper {
	return &Sweeper{clock: clock, logger: logger, tasks: tasks}
}

// Run sweeps until ctx ends.
func (s *Sweeper) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		s.Sweep(ctx)
		_ = rest(ctx, every)
	}
	return nil
}

// Sweep does all tasks once.
func (s *Sweeper) Sweep(ctx context.Context) {
	for _, task := range s.tasks {
		if err := task.Do(ctx, s.clock.Now()); err != nil && ctx.Err() == nil {
			s.logger.Warn("what is old was not let go", "what", task.What, "error", err)
		}
	}
}
