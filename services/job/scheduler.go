package job

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/ids"
)

// How the scheduler looks for work.
const (
	schedulerPoll  = time.Second // other processes write too, and cannot wake us
	schedulerRest  = 5 * time.Millisecond
	schedulerBatch = 64
)

// Scheduler queues the runs of jobs that are due, and takes care of runs whose order or worker was
// lost. Several may work on one store.
type Scheduler struct {
	store  Timetable
	clock  clock.Clock
	logger *slog.Logger
	woken  chan struct{}
}

// NewScheduler makes a Scheduler; it does nothing until Run.
func NewScheduler(store Timetable, clock clock.Clock, logger *slog.Logger) *Scheduler {
	return &Scheduler{store: store, clock: clock, logger: logger, woken: make(chan struct{}, 1)}
}

// Wake has it look again at once, because something has changed.
func (s *Scheduler) Wake() {
	select {
	case s.woken <- struct{}{}:
	default: // it will look anyway
	}
}

// Run schedules until ctx ends. It looks when it is woken, when the next time comes and every second.
// A store that fails is tried again.
func (s *Scheduler) Run(ctx context.Context) {
	failing := false
	for ctx.Err() == nil {
		err := s.Turn(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil && !failing {
			s.logger.Error("jobs are not scheduled", "error", err)
		}
		if err == nil && failing {
			s.logger.Info("jobs are scheduled again")
		}
		failing = err != nil
		s.wait(ctx, failing)
	}
}

// Turn does all that is due now.
func (s *Scheduler) Turn(ctx context.Context) error {
	if err := s.enqueueDue(ctx); err != nil {
		return err
	}
	return s.recover(ctx)
}

func (s *Scheduler) enqueueDue(ctx context.Context) error {
	for {
		now := s.clock.Now()
		found, err := s.store.ChangeDue(ctx, now, schedulerBatch, func(j Job, _ *Run) (Change, error) {
			return j.enqueue(now, ids.New(ids.JobRun)), nil
		})
		if err != nil {
			return fmt.Errorf("queue due jobs: %w", err)
		}
		if found < schedulerBatch {
			return nil
		}
	}
}

// recover deals with runs that nobody has answered for.
func (s *Scheduler) recover(ctx context.Context) error {
	for {
		now := s.clock.Now()
		overdue, err := s.store.Overdue(ctx, now, schedulerBatch)
		if err != nil {
			return fmt.Errorf("look for lost runs: %w", err)
		}
		for _, lost := range overdue {
			if err := s.recoverRun(ctx, lost, now); err != nil {
				return err
			}
		}
		if len(overdue) < schedulerBatch {
			return nil
		}
	}
}

func (s *Scheduler) recoverRun(ctx context.Context, lost Order, now time.Time) error {
	j, err := s.store.Change(ctx, lost.JobID, lost.RunID, func(j Job, run *Run) (Change, error) {
		return j.overdue(run, now), nil
	})
	if isMissing(err) {
		return nil // it was deleted meanwhile
	}
	if err != nil {
		return fmt.Errorf("recover run %s of job %s: %w", lost.RunID, lost.JobID, err)
	}
	s.logger.WarnContext(ctx, "a run was overdue", "job", lost.JobID, "run", lost.RunID, "status", j.Status)
	s.Wake() // its next attempt may be due
	return nil
}

// wait ends at the next time that something is due, and after schedulerPoll at the latest.
func (s *Scheduler) wait(ctx context.Context, failing bool) {
	pause := schedulerPoll
	if next, err := s.store.NextWake(ctx); !failing && err == nil && next != nil {
		pause = min(pause, max(next.Sub(s.clock.Now()), schedulerRest))
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.woken:
	case <-ctx.Done():
	}
}
