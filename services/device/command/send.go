package command

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/input"
	"github.com/sluicehq/sluice/services/device"
)

// SendInput is a command to send.
type SendInput struct {
	DeviceID       string
	Name           string
	Arguments      string        // a JSON object; "" for none
	Timeout        time.Duration // 0 means DefaultTimeout
	QueueUntil     *time.Time    // until when to wait for an offline device; nil does not wait
	IdempotencyKey string        // "" for none
	CommandID      string        `json:"-"` // of the new command; "" for any
}

// Send sends a command. A command to an offline device fails with DEVICE_OFFLINE in its result, or waits until
// QueueUntil.
func (s *Service) Send(ctx context.Context, in SendInput) (Command, error) {
	who, err := device.MayCommand(ctx)
	if err != nil {
		return Command{}, err
	}
	return s.SendAs(ctx, who, in, func(d device.Device) error {
		if s.reserved(d.Kind, in.Name) {
			return errs.Invalid("name", "a camera is told to %s by the mutation of that name alone", in.Name)
		}
		return nil
	})
}

// SendAs sends a command for an authorized caller, unless check refuses the device.
func (s *Service) SendAs(ctx context.Context, who caller.Caller, in SendInput, check func(device.Device) error) (Command, error) {
	now := s.clock.Now()
	key, err := idempotency.NewKey(ctx, in.IdempotencyKey, "SendCommand", in)
	if err != nil {
		return Command{}, err
	}
	if in, err = in.checked(now); err != nil {
		return Command{}, err
	}
	if err := device.Within(ctx, s.store, who, in.DeviceID); err != nil {
		return Command{}, err
	}
	return s.Start(ctx, Target{DeviceID: in.DeviceID, Key: key, Now: now}, who.Name(), func(t *Decision) (Command, error) {
		if !device.Sees(who, t.Device) {
			return Command{}, device.Missing(in.DeviceID)
		}
		if err := check(t.Device); err != nil {
			return Command{}, err
		}
		if t.Open >= maxOpen {
			return Command{}, errs.New(errs.ResourceExhausted, ReasonTooMany, "this device has %d open commands", t.Open)
		}
		if t.Device.Lock != nil && device.DrivesLock(in.Name) && t.Device.Lock.Reference != "" {
			return Command{}, device.LockHeld()
		}
		c := NewCommand(in.DeviceID, in.Name, in.Arguments, who.Name(), in.Timeout, in.QueueUntil, now)
		c.ID = cmp.Or(in.CommandID, c.ID)
		return c, nil
	})
}

func (in SendInput) checked(now time.Time) (SendInput, error) {
	if err := device.CheckID("deviceId", in.DeviceID); err != nil {
		return in, err
	}
	if err := input.OptionalID("commandId", ids.Command, in.CommandID); err != nil {
		return in, err
	}
	if err := input.Name("name", in.Name, maxCommandName); err != nil {
		return in, err
	}
	if in.Arguments == "" {
		in.Arguments = "{}"
	}
	var object map[string]json.RawMessage
	if err := input.JSON("arguments", in.Arguments, maxArguments); err != nil {
		return in, err
	}
	if json.Unmarshal([]byte(in.Arguments), &object) != nil || object == nil {
		return in, errs.Invalid("arguments", "must be an object")
	}
	if in.Timeout == 0 {
		in.Timeout = DefaultTimeout
	}
	if in.Timeout < MinTimeout || in.Timeout > maxTimeout {
		return in, errs.Invalid("timeoutSeconds", "must be between %d and %d", int(MinTimeout.Seconds()), int(maxTimeout.Seconds()))
	}
	if in.QueueUntil == nil {
		return in, nil
	}
	until, err := input.Time("queueUntil", *in.QueueUntil)
	if err != nil {
		return in, err
	}
	if !until.After(now) || until.After(now.Add(maxQueueing)) {
		return in, errs.Invalid("queueUntil", "must lie in the next %d days", int(maxQueueing.Hours()/24))
	}
	in.QueueUntil = &until
	return in, nil
}

// Start stores the command that decide returns, and sends it. A command that decide returns unchanged is not new.
func (s *Service) Start(ctx context.Context, about Target, actor string, decide func(t *Decision) (Command, error)) (Command, error) {
	c, err := s.store.Decide(ctx, about, func(at State) (Changes, error) {
		t := &Decision{State: at, Now: about.Now, Actor: actor}
		c, err := decide(t)
		if err != nil {
			return Changes{}, err
		}
		if at.Command != nil && at.Command.ID == c.ID {
			return Changes{Answer: c}, nil
		}
		return t.Done(t.Started(c))
	})
	if err != nil {
		return Command{}, fmt.Errorf("send a command: %w", err)
	}
	return s.Dispatched(ctx, c), nil
}

// Started stores a new command, which fails at once if the device is offline and the command may not wait.
func (t *Decision) Started(c Command) error {
	switch {
	case t.Device.Presence == device.Offline && c.QueueUntil == nil:
		c = c.offline(t.Now)
		c.Version = 1
	case t.Device.Presence == device.Offline:
		c = c.dueBy(c.Deadline)
	}
	if c.Status.Open() && t.Device.Lock != nil && device.DrivesLock(c.Name) {
		if err := t.drive(c); err != nil {
			return err
		}
	}
	return t.Update(c)
}

// Dispatched returns the command after an attempt to send it, if it is due. A repeated call sends nothing. The
// Reconciler retries failures.
func (s *Service) Dispatched(ctx context.Context, c Command) Command {
	if c.Status != Queued || c.DueAt == nil || c.DueAt.After(s.clock.Now()) {
		return c
	}
	if sent, err := s.dispatch(ctx, c.DeviceID, c.ID, resendAfter, false); err == nil {
		return sent
	}
	return c
}

// dispatch sends an open command without an acknowledgement, unless it was sent within the pause; back reports that
// the device has just reconnected. The command is marked as sent first: the Reconciler resends after a crash between
// both, and a cancelled command is never sent.
func (s *Service) dispatch(ctx context.Context, deviceID, id string, pause time.Duration, back bool) (Command, error) {
	send, now := false, s.clock.Now()
	here, err := s.downlink.Route(ctx, deviceID)
	if err != nil {
		return Command{}, err
	}
	c, err := s.store.Decide(ctx, Target{CommandID: id, Now: now}, func(at State) (Changes, error) {
		c := *at.Command
		send = (c.Status == Queued || c.Status == Sent && now.Sub(*c.LastSentAt) >= pause) && now.Before(c.Deadline) && !at.Device.Deleted && here
		if !send {
			return Changes{Answer: c}, nil
		}
		c = c.sending(now, back)
		return Changes{Commands: []Command{c}, Answer: c}, nil
	})
	if err != nil || !send {
		return c, err
	}
	payload, err := json.Marshal(order{ID: c.ID, Name: c.Name, Arguments: jsonText(c.Arguments), Deadline: c.Deadline})
	if err != nil {
		return c, fmt.Errorf("write command %s: %w", c.ID, err)
	}
	m := device.DownMessage{DeviceID: c.DeviceID, Topic: device.DownCommands, Payload: payload, ExpiresAt: c.Deadline}
	if err := s.downlink.Deliver(ctx, m); err != nil && !errors.Is(err, device.ErrNotSubscribed) {
		return c, fmt.Errorf("deliver command %s: %w", c.ID, err)
	}
	return c, nil // a device without a subscription receives it on subscribing
}

// Cancel ends an open command. The device is not notified: it may execute a command that it has received, and its
// result is noted. A command that moves a lock can be cancelled only before it is sent.
func (s *Service) Cancel(ctx context.Context, id string) (Command, error) {
	who, err := device.MayCommand(ctx)
	if err != nil {
		return Command{}, err
	}
	if err := input.ID("id", ids.Command, id); err != nil {
		return Command{}, err
	}
	if err := s.within(ctx, who, id); err != nil {
		return Command{}, err
	}
	now := s.clock.Now()
	c, err := s.store.Decide(ctx, Target{CommandID: id, Now: now}, func(at State) (Changes, error) {
		t, c := &Decision{State: at, Now: now, Actor: who.Name()}, *at.Command
		switch {
		case !device.Sees(who, at.Device):
			return Changes{}, errs.Missing("command", id)
		case !c.Status.Open():
			return Changes{}, over(c)
		case c.Status != Queued && at.Device.Lock != nil && at.Device.Lock.CommandID == c.ID:
			return Changes{}, device.LockBusy(at.Device.Lock.State)
		}
		return t.Done(t.Update(c.Ended(Cancelled, now)))
	})
	if err != nil {
		return Command{}, fmt.Errorf("cancel command: %w", err)
	}
	return c, nil
}
