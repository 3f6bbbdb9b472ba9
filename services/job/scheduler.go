package job

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/worker"
)

const (
	schedulerPoll  = time.Second // other processes write too, and cannot wake this one
	schedulerBatch = 64
)

// Scheduler enqueues the runs of due jobs, and recovers runs whose order or worker was lost. Several may share one
// store.
type Scheduler struct {
	store  Timetable
	clock  clock.Clock
	logger *slog.Logger
	wakeup worker.Wakeup
}

// NewScheduler returns a Scheduler, whose loop a worker runs.
func NewScheduler(store Timetable, clock clock.Clock, logger *slog.Logger) *Scheduler {
	return &Scheduler{store: store, clock: clock, logger: logger, wakeup: worker.NewWakeup()}
}

// Wake starts the next pass at once, after a change of a job.
func (s *Scheduler) Wake() { s.wakeup.Wake() }

// Loop describes the background loop. A pass starts at a wake-up, when the next job is due, and at least every
// second.
func (s *Scheduler) Loop() worker.Loop {
	return worker.Loop{Name: "job scheduler", Pass: s.RunDue, Interval: schedulerPoll, NextDue: s.store.NextWake, Wakeup: s.wakeup, MaxBackoff: schedulerPoll}
}

// RunDue enqueues all due jobs, and recovers all overdue runs.
func (s *Scheduler) RunDue(ctx context.Context) error {
	for found := schedulerBatch; found == schedulerBatch; {
		now := s.clock.Now()
		var err error
		found, err = s.store.ChangeDue(ctx, now, schedulerBatch, func(j Job, _ *Run) (Change, error) {
			return j.enqueue(now, ids.New(ids.JobRun)), nil
		})
		if err != nil {
			return fmt.Errorf("enqueue due jobs: %w", err)
		}
	}
	for found := schedulerBatch; found == schedulerBatch; {
		now := s.clock.Now()
		overdue, err := s.store.Overdue(ctx, now, schedulerBatch)
		if err != nil {
			return fmt.Errorf("list overdue runs: %w", err)
		}
		for _, lost := range overdue {
			if err := s.recoverRun(ctx, lost, now); err != nil {
				return err
			}
		}
		found = len(overdue)
	}
	return nil
}

func (s *Scheduler) recoverRun(ctx context.Context, lost Order, now time.Time) error {
	j, err := s.store.Change(ctx, lost.JobID, lost.RunID, func(j Job, run *Run) (Change, error) {
		return j.overdue(run, now), nil
	})
	if errs.IsMissing(err) {
		return nil // the job was deleted meanwhile
	}
	if err != nil {
		return fmt.Errorf("recover run %s of job %s: %w", lost.RunID, lost.JobID, err)
	}
	s.logger.WarnContext(ctx, "a run was overdue", "job", lost.JobID, "run", lost.RunID, "status", j.Status)
	s.Wake() // its next attempt may be due
	return nil
}
