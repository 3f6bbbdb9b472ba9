// Package vehicle opens and locks vehicles for those who rent them, and sees to it that one that is to be
// locked is tried until it is. How a lock moves is package lock's; each move is a command.
package vehicle

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/command"
)

// Store is what stores vehicles.
type Store interface {
	device.Reader
	command.Decider

	// DueLocks returns devices whose lock is to be processed at now, the most urgent first.
	DueLocks(ctx context.Context, now time.Time, most int) ([]string, error)
}

// Service is the use cases. It is safe for concurrent use.
type Service struct {
	store    Store
	clock    clock.Clock
	commands *command.Service
}

// New returns a Service over a store.
func New(store Store, clock clock.Clock, commands *command.Service) *Service {
	return &Service{store: store, clock: clock, commands: commands}
}

// maxReference bounds what an unlock is done for, in bytes.
const maxReference = 100

// maySystem stores what services do for each other to services.
func maySystem(ctx context.Context, deviceID, reference string) error {
	who, err := caller.Require(ctx, caller.DeviceCommand)
	if err != nil {
		return err
	}
	if who.Role != caller.System {
		return errs.Denied("only the system opens and locks vehicles for a trip")
	}
	if reference == "" || len(reference) > maxReference {
		return errs.Invalid("reference", "must have 1 to %d bytes", maxReference)
	}
	return device.CheckID("vehicleId", deviceID)
}

// Unlock opens a vehicle for the reference, and returns the command that does it. Asked again, it returns
// the same command as it then stands, and sends nothing. FAILED_PRECONDITION when the vehicle is not
// locked, when it has no lock, or when the deadline has passed. For the system.
func (s *Service) Unlock(ctx context.Context, vehicleID, reference string, deadline time.Time) (command.Command, error) {
	if err := maySystem(ctx, vehicleID, reference); err != nil {
		return command.Command{}, err
	}
	now := s.clock.Now()
	return s.commands.Start(ctx, command.Target{DeviceID: vehicleID, Reference: reference, Now: now}, "system", func(t *command.Decision) (command.Command, error) {
		switch {
		case t.Command != nil:
			return *t.Command, nil
		case t.Device.Lock == nil:
			return command.Command{}, device.NoLock()
		case !deadline.After(now):
			return command.Command{}, device.GivenUp()
		}
		c := command.NewCommand(vehicleID, device.CommandUnlock, "{}", "system", deadline.Sub(now), nil, now)
		c.Reference = reference
		return c, nil
	})
}

// Lock locks the vehicle that was opened for the reference, and goes on until it is locked. It does
// nothing when the vehicle is open for a client else, or locked. An unlock for the reference that has
// not been requested yet will be refused. For the system.
func (s *Service) Lock(ctx context.Context, vehicleID, reference string) error {
	if err := maySystem(ctx, vehicleID, reference); err != nil {
		return err
	}
	now := s.clock.Now()
	_, err := s.store.Decide(ctx, command.Target{DeviceID: vehicleID, Reference: reference, Now: now}, func(at command.State) (command.Changes, error) {
		t := &command.Decision{State: at, Now: now, Actor: "system"}
		if at.Device.Lock == nil {
			return command.Changes{}, nil
		}
		if at.Command == nil && at.Device.Lock.Reference != reference { // one that holds it was opened, however long ago
			return t.Done(t.Update(forestalled(t, reference)))
		}
		before := *at.Device.Lock
		after := before.RequestLock(reference, now)
		if after == before {
			return command.Changes{}, nil
		}
		return t.Done(t.Move(after, device.LockChanged, ""))
	})
	if err != nil {
		return fmt.Errorf("lock a vehicle: %w", err)
	}
	_ = s.Secure(ctx, vehicleID) // what fails is retried by the Reconciler
	return nil
}

// forestalled is an unlock that was given up before it was requested.
func forestalled(t *command.Decision, reference string) command.Command {
	c := command.NewCommand(t.Device.ID, device.CommandUnlock, "{}", t.Actor, command.MinTimeout, nil, t.Now)
	c.Reference, c.Reason, c.Error = reference, device.ReasonGivenUp, "given up before it was asked for"
	c = c.Ended(command.Cancelled, t.Now)
	c.Version = 1
	return c
}

// Secure makes the attempt at locking that is due.
func (s *Service) Secure(ctx context.Context, vehicleID string) error {
	now := s.clock.Now()
	c, err := s.store.Decide(ctx, command.Target{DeviceID: vehicleID, Now: now}, func(at command.State) (command.Changes, error) {
		t := &command.Decision{State: at, Now: now, Actor: "system"}
		if at.Device.Lock == nil || !at.Device.Lock.Due(now) {
			return command.Changes{}, nil
		}
		if at.Device.Presence == device.Offline {
			return t.Done(t.Move(at.Device.Lock.Unlockable(now), device.LockFailed, ""))
		}
		c := command.NewCommand(vehicleID, device.CommandLock, "{}", "system", device.LockTimeout, nil, now)
		c.Reference = at.Device.Lock.Reference
		return t.Done(t.Started(c))
	})
	if err != nil {
		return fmt.Errorf("lock a vehicle: %w", err)
	}
	s.commands.Dispatched(ctx, c)
	return nil
}

// Hurry makes the next attempt at locking a vehicle, now that it is there.
func (s *Service) Hurry(ctx context.Context, vehicleID string) error {
	known, err := s.store.Get(ctx, []string{vehicleID})
	if err != nil || len(known) == 0 || known[0].Lock == nil || !known[0].Lock.LockRequested {
		return err // without a write: every device that connects passes here
	}
	now, due := s.clock.Now(), false
	_, err = s.store.Decide(ctx, command.Target{DeviceID: vehicleID, Now: now}, func(at command.State) (command.Changes, error) {
		l := at.Device.Lock
		due = l != nil && l.LockRequested && l.State == device.Unlocked
		if !due || l.Due(now) {
			return command.Changes{}, nil
		}
		t, after := &command.Decision{State: at, Now: now, Actor: "system"}, *l
		after.DueAt = &now
		return t.Done(t.Move(after, device.LockChanged, ""))
	})
	if err != nil || !due {
		return err
	}
	return s.Secure(ctx, vehicleID)
}

// stateMessage is what of commands' concern a device tells on the topic state.
type stateMessage struct {
	LockState device.LockState `json:"lockState"`
}

// HandleLockState takes what a vehicle reports its lock on its own account. It changes no state, but
// has a vehicle locked that is open when it should not be.
func (s *Service) HandleLockState(ctx context.Context, m device.UpMessage) error {
	var said stateMessage
	if err := json.Unmarshal(m.Payload, &said); err != nil || said.LockState == "" {
		return nil // it is for others to judge
	}
	now := s.clock.Now()
	if said.LockState != device.Unlocked {
		return nil
	}
	_, err := s.store.Decide(ctx, command.Target{DeviceID: m.DeviceID, Now: now}, func(at command.State) (command.Changes, error) {
		t := &command.Decision{State: at, Now: now, Actor: m.DeviceID}
		if t.Device.Lock == nil || t.Device.Lock.State != device.Locked {
			return command.Changes{}, nil
		}
		return t.Done(t.Doubt(""))
	})
	if err != nil {
		return fmt.Errorf("take the state of a lock: %w", err)
	}
	return nil
}
