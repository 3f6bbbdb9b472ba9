package command

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// repeatPause prevents a second delivery to a device that connects just after it received the command.
const repeatPause = time.Second

// Attend ends a command whose deadline has passed or whose device does not exist, else sends it.
func (s *Service) Attend(ctx context.Context, id string) error {
	now := s.clock.Now()
	c, err := s.store.Decide(ctx, Target{CommandID: id, Now: now}, func(at State) (Changes, error) {
		t, c := &Decision{State: at, Now: now, Actor: "system"}, *at.Command
		switch {
		case c.Status.Open() && at.Device.Deleted:
			return t.Done(t.Update(c.failed(ReasonDeviceDeleted, "the device was deleted", now)))
		case !c.Status.Open() || now.Before(c.Deadline):
			return Changes{Answer: c}, nil
		}
		return t.Done(t.Update(c.overdue(now)))
	})
	if err != nil {
		return fmt.Errorf("attend to command %s: %w", id, err)
	}
	if c.DueAt == nil || c.DueAt.After(now) {
		return nil
	}
	_, err = s.dispatch(ctx, c.DeviceID, id, 0, false)
	return err
}

// SendWaiting sends the unacknowledged commands to a device that has connected.
func (s *Service) SendWaiting(ctx context.Context, deviceID string) error {
	waiting, err := s.store.Unacknowledged(ctx, deviceID)
	if err != nil {
		return err
	}
	var failures []error
	for _, id := range waiting {
		if _, err := s.dispatch(ctx, deviceID, id, repeatPause, true); err != nil {
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}
