// Package retention deletes expired rows and files. The Sweeper runs the Task of each kind of data serially, at the
// start and then every ten minutes. A failed task does not stop the others, and is retried at the next sweep. A sweep
// deletes in a limited number of small transactions, with pauses for other writers. Deletes are idempotent, so
// several processes may sweep the same rows.
package retention

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/worker"
)

const (
	interval   = 10 * time.Minute
	batchSize  = 500 // rows of one delete
	maxBatches = 200 // of one task in one sweep
	pause      = 5 * time.Millisecond
)

// Task deletes one kind of expired data.
type Task struct {
	What string // for logs, as in "finished commands"
	Do   func(ctx context.Context, now time.Time) error
}

// Delete deletes at most limit rows from before the time, the oldest first, and returns their number; 0 means that
// none is left.
type Delete func(ctx context.Context, before time.Time, limit int) (int64, error)

// After returns the task that deletes data older than the TTL; 0 never expires.
func After(what string, ttl time.Duration, deleteRows Delete) Task {
	return Task{What: what, Do: func(ctx context.Context, now time.Time) error {
		if ttl <= 0 {
			return nil
		}
		return repeatBatches(ctx, func() (int64, error) { return deleteRows(ctx, now.Add(-ttl), batchSize) })
	}}
}

// repeatBatches deletes batches until none is left or the limit of a sweep is reached.
func repeatBatches(ctx context.Context, deleteBatch func() (int64, error)) error {
	for range maxBatches {
		if n, err := deleteBatch(); err != nil || n == 0 {
			return err
		}
		if err := clock.Sleep(ctx, clock.System{}, pause); err != nil {
			return err
		}
	}
	return nil
}

// RoundRobin returns the task that visits entities in the order of their ids, perSweep of them each sweep. next lists
// the ids after an id. deleteRows deletes at most limit rows of one entity, and returns their number.
func RoundRobin(what string, perSweep int, next func(ctx context.Context, after string, limit int) ([]string, error), deleteRows func(ctx context.Context, id string, limit int) (int64, error)) Task {
	after := ""
	return Task{What: what, Do: func(ctx context.Context, _ time.Time) error {
		found, err := next(ctx, after, perSweep)
		if err != nil {
			return err
		}
		after = ""
		if len(found) == perSweep {
			after = found[perSweep-1]
		}
		for _, id := range found {
			if err := repeatBatches(ctx, func() (int64, error) { return deleteRows(ctx, id, batchSize) }); err != nil {
				return fmt.Errorf("of %s: %w", id, err)
			}
		}
		return nil
	}}
}

// Sweeper runs tasks. It is not safe for concurrent use.
type Sweeper struct {
	clock  clock.Clock
	logger *slog.Logger
	tasks  []Task
}

// New returns a Sweeper, whose loop a worker runs.
func New(clock clock.Clock, logger *slog.Logger, tasks ...Task) *Sweeper {
	return &Sweeper{clock: clock, logger: logger, tasks: tasks}
}

// Loop describes the background loop of the sweeper.
func (s *Sweeper) Loop(name string) worker.Loop {
	return worker.Loop{Name: name, Pass: s.Sweep, Interval: interval, MinBackoff: interval}
}

// Sweep runs all tasks once. It logs each failure, and returns them joined.
func (s *Sweeper) Sweep(ctx context.Context) error {
	var failures []error
	for _, task := range s.tasks {
		if err := task.Do(ctx, s.clock.Now()); err != nil && ctx.Err() == nil {
			s.logger.Warn("retention failed", "what", task.What, "error", err)
			failures = append(failures, fmt.Errorf("%s: %w", task.What, err))
		}
	}
	return errors.Join(failures...)
}
