package device

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/input"
)

// SendInput tells a device to do something.
type SendInput struct {
	DeviceID       string
	Name           string
	Arguments      string        // a JSON object; "" for none
	Timeout        time.Duration // 0 means DefaultTimeout
	QueueUntil     *time.Time    // how long to wait for a device that is offline; nil: not at all
	IdempotencyKey string        // "" for none
}

// Send sends a command. To a device that is offline it fails at once with DEVICE_OFFLINE, which is an
// answer and no error, or waits until the time that the input gives.
func (s *Service) Send(ctx context.Context, in SendInput) (Command, error) {
	who, err := mayCommand(ctx)
	if err != nil {
		return Command{}, err
	}
	return s.sendAs(ctx, who, in, func(d Device) error {
		if reservedFor(d.Kind, in.Name) {
			return errs.Invalid("name", "a camera is told to %s by the mutation of that name alone", in.Name)
		}
		return nil
	})
}

// sendAs sends a command for a caller who may, unless check refuses the device.
func (s *Service) sendAs(ctx context.Context, who caller.Caller, in SendInput, check func(Device) error) (Command, error) {
	now := s.clock.Now()
	key, err := idempotency.NewKey(ctx, in.IdempotencyKey, "SendCommand", in)
	if err != nil {
		return Command{}, err
	}
	if in, err = in.checked(now); err != nil {
		return Command{}, err
	}
	if err := s.within(ctx, who, in.DeviceID); err != nil {
		return Command{}, err
	}
	return s.start(ctx, About{DeviceID: in.DeviceID, Key: key, Now: now}, who.Name(), func(t *turn) (Command, error) {
		if !sees(who, t.Device) {
			return Command{}, Missing(in.DeviceID)
		}
		if err := check(t.Device); err != nil {
			return Command{}, err
		}
		if t.Open >= maxOpen {
			return Command{}, errs.New(errs.ResourceExhausted, ReasonTooManyCommands, "this device has %d open commands", t.Open)
		}
		if drives(t.Device, in.Name) && t.Device.Lock.Holder != "" {
			return Command{}, lockHeld()
		}
		return made(in.DeviceID, in.Name, in.Arguments, who.Name(), in.Timeout, in.QueueUntil, now), nil
	})
}

// mayCommand gives the caller when it may send commands: staff, and keys of staff with the scope.
func mayCommand(ctx context.Context) (caller.Caller, error) {
	who, err := caller.Require(ctx, caller.DeviceCommand)
	if err != nil {
		return caller.Caller{}, err
	}
	if !who.Staff() {
		return caller.Caller{}, errs.Denied("only staff sends commands")
	}
	return who, nil
}

func (in SendInput) checked(now time.Time) (SendInput, error) {
	if err := checkID("deviceId", in.DeviceID); err != nil {
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
	if in.Timeout < minTimeout || in.Timeout > maxTimeout {
		return in, errs.Invalid("timeoutSeconds", "must be between %d and %d", int(minTimeout.Seconds()), int(maxTimeout.Seconds()))
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

// start keeps the command that decide makes, and sends it. A command that decide gives back as it is
// in the store is no new one.
func (s *Service) start(ctx context.Context, about About, actor string, decide func(t *turn) (Command, error)) (Command, error) {
	c, err := s.store.Work(ctx, about, func(at Situation) (Work, error) {
		t := &turn{Situation: at, now: about.Now, actor: actor}
		c, err := decide(t)
		if err != nil {
			return Work{}, err
		}
		if at.Command != nil && at.Command.ID == c.ID {
			return Work{Answer: c}, nil
		}
		return t.done(t.started(c))
	})
	if err != nil {
		return Command{}, fmt.Errorf("send a command: %w", err)
	}
	return s.dispatched(ctx, c), nil
}

// started keeps a new command, which fails at once when the device is not there and it shall not wait.
func (t *turn) started(c Command) error {
	switch {
	case t.Device.Presence == Offline && c.QueueUntil == nil:
		c = c.offline(t.now)
		c.Version = 1
	case t.Device.Presence == Offline:
		c = c.dueBy(c.Deadline)
	}
	if c.Status.Open() && drives(t.Device, c.Name) {
		if err := t.drive(c); err != nil {
			return err
		}
	}
	return t.put(c)
}

// dispatched is the command after an attempt at sending it, if it is to be sent now. A repeat of the
// call that made it sends nothing. What fails is tried again by the Attendant.
func (s *Service) dispatched(ctx context.Context, c Command) Command {
	if c.Status != Queued || c.DueAt == nil || c.DueAt.After(s.clock.Now()) {
		return c
	}
	if sent, err := s.dispatch(ctx, c.ID, resendAfter, false); err == nil {
		return sent
	}
	return c
}

// dispatch sends an open command that the device has not acknowledged, unless it was sent less than
// the pause ago; back tells that the device has just come back. It is marked first: a mark that was not followed by the message is made good by the
// Attendant, and a message without a mark could go out for a command that is cancelled.
func (s *Service) dispatch(ctx context.Context, id string, pause time.Duration, back bool) (Command, error) {
	send, now := false, s.clock.Now()
	c, err := s.store.Work(ctx, About{CommandID: id, Now: now}, func(at Situation) (Work, error) {
		c := *at.Command
		send = (c.Status == Queued || c.Status == Sent && now.Sub(*c.LastSentAt) >= pause) && now.Before(c.Deadline) && !at.Device.Deleted
		if !send {
			return Work{Answer: c}, nil
		}
		c = c.sending(now, back)
		return Work{Commands: []Command{c}, Answer: c}, nil
	})
	if err != nil || !send {
		return c, err
	}
	payload, err := json.Marshal(order{ID: c.ID, Name: c.Name, Arguments: jsonText(c.Arguments), Deadline: c.Deadline})
	if err != nil {
		return c, fmt.Errorf("write command %s: %w", c.ID, err)
	}
	if err := s.downlink.Deliver(ctx, c.DeviceID, DownCommands, payload); err != nil {
		return c, fmt.Errorf("deliver command %s: %w", c.ID, err)
	}
	return c, nil
}

// Cancel ends an open command. The device is not told: one that has it already may carry it out, and
// what it answers is noted. A command that moves a lock is cancelled only as long as it was not sent.
func (s *Service) Cancel(ctx context.Context, id string) (Command, error) {
	who, err := mayCommand(ctx)
	if err != nil {
		return Command{}, err
	}
	if err := input.ID("id", ids.Command, id); err != nil {
		return Command{}, err
	}
	if err := s.commandWithin(ctx, who, id); err != nil {
		return Command{}, err
	}
	now := s.clock.Now()
	c, err := s.store.Work(ctx, About{CommandID: id, Now: now}, func(at Situation) (Work, error) {
		t, c := &turn{Situation: at, now: now, actor: who.Name()}, *at.Command
		switch {
		case !sees(who, at.Device):
			return Work{}, errs.Missing("command", id)
		case !c.Status.Open():
			return Work{}, commandOver(c)
		case c.Status != Queued && at.Device.Lock != nil && at.Device.Lock.CommandID == c.ID:
			return Work{}, lockBusy(at.Device.Lock.State)
		}
		return t.done(t.put(c.ended(Cancelled, now)))
	})
	if err != nil {
		return Command{}, fmt.Errorf("cancel command: %w", err)
	}
	return c, nil
}
