// Package maintenance runs the background work of the device service. Reconciler runs due tasks: it sends and ends
// commands, locks vehicles, starts and stops streams. RetentionTasks delete expired rows. AuditLog records the calls
// of API keys on devices. Due times and expired rows are in the store, so a crash loses no task and any number of
// processes may run them. A failed task is logged and retried. A failure of the audit log never fails the call.
package maintenance

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/worker"
)

const (
	pollInterval = time.Second // other processes write due times too, and cannot wake this one
	dueBatch     = 64
)

// DueStore reads due times.
type DueStore interface {
	// NextDue returns the next due time of a command or lock; nil without one.
	NextDue(ctx context.Context) (*time.Time, error)
}

// DueTask is one kind of due work, over entities with an id.
type DueTask struct {
	// Due lists at most limit ids that are due at now, the most urgent first.
	Due func(ctx context.Context, now time.Time, limit int) ([]string, error)
	// Do processes one id. It must be idempotent, because of retries and other processes.
	Do func(ctx context.Context, id string) error
}

// Reconciler runs due tasks. Several processes may run one over the same store.
type Reconciler struct {
	store DueStore
	clock clock.Clock
	tasks []DueTask
}

// NewReconciler returns a Reconciler, whose loop a worker runs.
func NewReconciler(store DueStore, clock clock.Clock, tasks ...DueTask) *Reconciler {
	return &Reconciler{store: store, clock: clock, tasks: tasks}
}

// RunDue runs all due tasks. A failure of one does not stop the others.
func (r *Reconciler) RunDue(ctx context.Context) error {
	var failures []error
	for _, task := range r.tasks {
		failures = append(failures, runTask(ctx, task, r.clock.Now()))
	}
	return errors.Join(failures...)
}

// Loop describes the background loop. A pass starts at each due time, and every pollInterval.
func (r *Reconciler) Loop() worker.Loop {
	return worker.Loop{Name: "device due tasks", Pass: r.RunDue, Interval: pollInterval, NextDue: r.store.NextDue, MaxBackoff: pollInterval}
}

// runTask processes batches of due ids, until none is left or a batch has a failure.
func runTask(ctx context.Context, task DueTask, now time.Time) error {
	for {
		due, err := task.Due(ctx, now, dueBatch)
		if err != nil {
			return fmt.Errorf("list due tasks: %w", err)
		}
		var failures []error
		for _, id := range due {
			// NotFound: deleted after it was listed.
			if err := task.Do(ctx, id); err != nil && !errs.IsMissing(err) {
				failures = append(failures, err)
			}
		}
		if len(failures) > 0 || len(due) < dueBatch {
			return errors.Join(failures...)
		}
	}
}
