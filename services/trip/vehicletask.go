package trip

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/worker"
)

// A trip on a vehicle that opens on command is a saga of two services: the next step at the vehicle is a VehicleTask.
// The write that requires the step stores the task in the row of the trip, and the task is retried until it succeeds.
// The device service deduplicates by the id of the trip.

// VehicleTask is the next step at the vehicle of a trip.
type VehicleTask string

// The vehicle tasks.
const (
	NoTask     VehicleTask = ""
	UnlockTask VehicleTask = "UNLOCK"
	LockTask   VehicleTask = "LOCK" // lock the vehicle, and prevent a late unlock
)

// Times and limits of vehicle tasks.
const (
	unlockTimeout  = 30 * time.Second  // within which the vehicle has to open
	unlockGrace    = 15 * time.Second  // after unlockTimeout, for the device service to report the result
	taskHeadStart  = time.Second       // in which only the process that created a task runs it
	taskWait       = taskHeadStart / 2 // wait of the request that created a task
	taskRetryDelay = 2 * time.Second
	taskPoll       = time.Second // other processes write tasks too, and cannot wake this one
	taskBatch      = 64
)

// Opening is the state of the command that unlocks a vehicle for a trip.
type Opening struct {
	TripID string
	Done   bool      // the command has ended
	Open   bool      // whether the vehicle is open; valid once Done
	At     time.Time // when the command ended; valid once Done
	Reason string    // why the vehicle is not open; valid once Done
}

// awaitUnlock returns the trip while its vehicle is locked. It costs nothing.
func (t Trip) awaitUnlock(now time.Time) Trip {
	by, due := now.Add(unlockTimeout), now.Add(taskHeadStart)
	t.Status, t.UnlockBy, t.Task, t.TaskDue = Unlocking, &by, UnlockTask, &due
	t.DurationSeconds, t.Fee = 0, Money{Currency: t.Tariff.Currency}
	return t
}

func (t Trip) unlocked(at time.Time) (Trip, []Fix) {
	if at.After(t.Start.At) {
		t.Start.At = at
	}
	t.Status, t.Task, t.TaskDue = InProgress, NoTask, nil
	t, fixes, _ := observeAll(t, rider, []Position{t.Start}, t.Start.At)
	return t, fixes
}

// failed returns the trip after its vehicle did not open, or must not open.
func (t Trip) failed(reason string, now time.Time) Trip {
	end := t.Start
	if end.At = now; end.At.Before(t.Start.At) {
		end.At = t.Start.At
	}
	t.Status, t.End, t.Failure, t.Task, t.TaskDue = Failed, &end, reason, NoTask, nil
	t.DurationSeconds, t.Fee = 0, Money{Currency: t.Tariff.Currency}
	return t
}

func (t Trip) withLockTask(now time.Time) Trip {
	if t.UnlockBy == nil {
		return t
	}
	due := now.Add(taskHeadStart)
	t.Task, t.TaskDue = LockTask, &due
	return t
}

// ApplyOpening applies the result of an unlock command. It is idempotent. A result may be late, or for a finished
// trip, whose vehicle is then locked.
func (s *Service) ApplyOpening(ctx context.Context, opening Opening) (Trip, error) {
	now := s.clock.Now()
	t, err := s.store.Change(ctx, opening.TripID, "", nil, func(t Trip, _ []Position) (*Change, error) {
		switch {
		case t.Status == Unlocking && !opening.Done:
			return nil, nil
		case t.Status == Unlocking && opening.Open:
			t, fixes := t.unlocked(opening.At)
			t.Version++
			return &Change{Trip: t.AsOf(now), Fixes: fixes, Event: Opened, At: now}, nil
		case t.Status == Unlocking:
			t.Version++
			return &Change{Trip: t.failed(opening.Reason, now).withRideDue(now), Event: UnlockFailed, At: now}, nil
		case t.Status == InProgress || t.Task == LockTask || opening.Done && !opening.Open:
			return nil, nil
		}
		return &Change{Trip: t.withLockTask(now), At: now}, nil
	})
	if err != nil {
		return Trip{}, fmt.Errorf("apply the opening of a vehicle: %w", err)
	}
	return t, nil
}

// runTaskNow runs the task that the request has just created, with a short timeout. A TaskRunner retries failures.
func (s *Service) runTaskNow(ctx context.Context, t Trip) Trip {
	ctx, cancel := context.WithTimeout(ctx, taskWait)
	defer cancel()
	if after, err := s.runTask(ctx, t); err == nil {
		return after
	}
	return t
}

func (s *Service) runTask(ctx context.Context, t Trip) (Trip, error) {
	ctx = caller.NewContext(ctx, caller.OfSystem())
	switch t.Task {
	case UnlockTask:
		return s.unlock(ctx, t)
	case LockTask:
		if err := s.vehicles.Lock(ctx, t.VehicleID, t.ID); err != nil && !isRefusal(err) {
			return t, errors.Join(err, s.postponeTask(ctx, t))
		}
		return t, s.store.SetTask(ctx, t.ID, LockTask, NoTask, nil) // the device service retries until it is locked
	}
	return t, nil
}

// unlock sends the unlock command, or fetches the state of the sent one.
func (s *Service) unlock(ctx context.Context, t Trip) (Trip, error) {
	opening, err := s.vehicles.Unlock(ctx, t.VehicleID, t.ID, *t.UnlockBy)
	switch {
	case err != nil && isRefusal(err):
		opening = Opening{TripID: t.ID, Done: true, At: s.clock.Now(), Reason: errs.From(err).Reason}
	case err != nil && s.clock.Now().Before(t.UnlockBy.Add(unlockGrace)):
		return t, errors.Join(err, s.postponeTask(ctx, t))
	case err != nil:
		return s.abortUnlock(ctx, t.ID)
	}
	after, err := s.ApplyOpening(ctx, opening)
	if err != nil || after.Task != UnlockTask {
		return after, err
	}
	return after, s.postponeTask(ctx, t)
}

// abortUnlock fails a trip if the device service has not reported within the timeout whether the vehicle has opened.
// The vehicle is locked, because it may be open.
func (s *Service) abortUnlock(ctx context.Context, tripID string) (Trip, error) {
	now := s.clock.Now()
	return s.store.Change(ctx, tripID, "", nil, func(t Trip, _ []Position) (*Change, error) {
		if t.Status != Unlocking {
			return nil, nil
		}
		t.Version++
		return &Change{Trip: t.failed(ReasonUnlockTimeout, now).withLockTask(now).withRideDue(now), Event: UnlockFailed, At: now}, nil
	})
}

func (s *Service) postponeTask(ctx context.Context, t Trip) error {
	due := s.clock.Now().Add(taskRetryDelay)
	return s.store.SetTask(ctx, t.ID, t.Task, t.Task, &due)
}

// isRefusal reports whether a retry would fail in the same way.
func isRefusal(err error) bool { return errs.FaultOf(err) == errs.FaultInput }

// ApplyVehiclePosition adds a position of the vehicle to its open trip. It has no effect without a trip, or before
// the start of the trip.
func (s *Service) ApplyVehiclePosition(ctx context.Context, vehicleID string, position Position) error {
	now := s.clock.Now()
	position, err := normalizeLive(position, now)
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
		t, fixes, recounts := observeAll(t, vehicle, fresh, now)
		t.Version++
		return &Change{Trip: t.AsOf(now), Fixes: fixes, Recounts: recounts, Event: Moved, At: now}, nil
	})
	if err != nil {
		return fmt.Errorf("apply the position of a vehicle to its trip: %w", err)
	}
	return nil
}

// TaskRunner runs due vehicle tasks. Several may share one store.
type TaskRunner struct{ service *Service }

// NewTaskRunner returns a TaskRunner, whose loop a worker runs.
func NewTaskRunner(service *Service) *TaskRunner { return &TaskRunner{service: service} }

// Loop describes the background loop of the runner.
func (r *TaskRunner) Loop() worker.Loop {
	return worker.Loop{Name: "trip vehicle tasks", Pass: r.RunDue, Interval: taskPoll, MaxBackoff: taskPoll}
}

// RunDue runs all due tasks, and stores all due rides. A failed one does not stop the others.
func (r *TaskRunner) RunDue(ctx context.Context) error {
	due, err := r.service.store.DueTasks(ctx, r.service.clock.Now(), taskBatch)
	if err != nil {
		return err
	}
	var failures []error
	for _, t := range due {
		if _, err := r.service.runTask(ctx, t); err != nil {
			failures = append(failures, fmt.Errorf("%s task of trip %s: %w", t.Task, t.ID, err))
		}
	}
	return errors.Join(append(failures, r.service.runRides(ctx))...)
}
