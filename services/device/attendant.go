package device

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
)

// How the attendant looks for what is due.
const (
	attendantPoll  = time.Second // other processes write too, and cannot wake us
	attendantRest  = 5 * time.Millisecond
	attendantBatch = 64
	// repeatPause keeps a device that has just been sent a command from getting it again because it
	// connects at that moment.
	repeatPause = time.Second
)

// Attendant looks after open commands and locks: it sends what was not sent, ends what is past its
// deadline, locks what is to be locked, and starts and stops streams. Several may work on one store; what is due is in the
// store, so that none is forgotten when a process dies.
type Attendant struct {
	service *Service
	logger  *slog.Logger
}

// NewAttendant makes an Attendant; it does nothing until Run.
func NewAttendant(service *Service, logger *slog.Logger) *Attendant {
	return &Attendant{service: service, logger: logger}
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
			a.logger.Error("commands are not attended to", "error", err)
		}
		if err == nil && failing {
			a.logger.Info("commands are attended to again")
		}
		failing = err != nil
		a.wait(ctx, failing)
	}
	return nil
}

// Turn does all that is due now. One that fails does not keep the others.
func (a *Attendant) Turn(ctx context.Context) error {
	return errors.Join(
		each(ctx, a.service.store.DueCommands, a.service.clock.Now(), a.service.attend),
		each(ctx, a.service.store.DueLocks, a.service.clock.Now(), a.service.secure),
		each(ctx, a.service.store.DueStreams, a.service.clock.Now(), a.service.attendStream))
}

// each does what is due, in batches, until there is no more or a batch fails.
func each(ctx context.Context, due func(ctx context.Context, now time.Time, most int) ([]string, error), now time.Time, do func(context.Context, string) error) error {
	for {
		found, err := due(ctx, now, attendantBatch)
		if err != nil {
			return fmt.Errorf("look for what is due: %w", err)
		}
		var failures []error
		for _, id := range found {
			if err := do(ctx, id); err != nil && !isMissing(err) {
				failures = append(failures, err)
			}
		}
		if len(failures) > 0 || len(found) < attendantBatch {
			return errors.Join(failures...)
		}
	}
}

// isMissing tells that what was due is gone.
func isMissing(err error) bool { return errs.From(err).Code == errs.NotFound }

// attend ends the command when its deadline has passed or its device is gone, else sends it.
func (s *Service) attend(ctx context.Context, id string) error {
	now := s.clock.Now()
	c, err := s.store.Work(ctx, About{CommandID: id, Now: now}, func(at Situation) (Work, error) {
		t, c := &turn{Situation: at, now: now, actor: "system"}, *at.Command
		switch {
		case c.Status.Open() && at.Device.Deleted:
			return t.done(t.put(c.failed(ReasonDeviceDeleted, "the device was deleted", now)))
		case !c.Status.Open() || now.Before(c.Deadline):
			return Work{Answer: c}, nil
		}
		return t.done(t.put(c.overdue(now)))
	})
	if err != nil {
		return fmt.Errorf("attend to command %s: %w", id, err)
	}
	if c.DueAt == nil || c.DueAt.After(now) {
		return nil
	}
	_, err = s.dispatch(ctx, id, 0, false)
	return err
}

// sendWaiting sends a device that is there what it has not acknowledged: see Service.Welcome.
func (s *Service) sendWaiting(ctx context.Context, deviceID string) error {
	waiting, err := s.store.Unacknowledged(ctx, deviceID)
	if err != nil {
		return err
	}
	var failures []error
	for _, id := range waiting {
		if _, err := s.dispatch(ctx, id, repeatPause, true); err != nil {
			failures = append(failures, err)
		}
	}
	return errors.Join(append(failures, s.hurry(ctx, deviceID))...)
}

// hurry makes the next attempt at locking a vehicle, now that it is there.
func (s *Service) hurry(ctx context.Context, vehicleID string) error {
	now, due := s.clock.Now(), false
	_, err := s.store.Work(ctx, About{DeviceID: vehicleID, Now: now}, func(at Situation) (Work, error) {
		l := at.Device.Lock
		due = l != nil && l.Wanted && l.State == Unlocked
		if !due || l.due(now) {
			return Work{}, nil
		}
		t, after := &turn{Situation: at, now: now, actor: "system"}, *l
		after.DueAt = &now
		return t.done(t.move(after, LockChanged, ""))
	})
	if err != nil || !due {
		return err
	}
	return s.secure(ctx, vehicleID)
}

// wait ends at the next time that something is due, and after attendantPoll at the latest.
func (a *Attendant) wait(ctx context.Context, failing bool) {
	pause := attendantPoll
	if next, err := a.service.store.NextDue(ctx); !failing && err == nil && next != nil {
		pause = min(pause, max(next.Sub(a.service.clock.Now()), attendantRest))
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
