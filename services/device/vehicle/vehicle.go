// Package vehicle unlocks and locks rented vehicles, and retries until a vehicle is locked. Each movement of a lock
// is a command.
package vehicle

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/input"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/command"
)

// Store persists vehicles.
type Store interface {
	device.Reader
	command.Decider

	// PutRide stores that a ride has started or ended, or, when it was cancelled, that it did not take place. A repeat
	// changes nothing, and so does the start of a ride that has ended. While another ride of the vehicle is open, the
	// start is not stored, and openID is that ride. Of an ended ride the time that other rides have is left out.
	// Values that were sent last move to the riders that they then have; where a caller sees a change, it is published.
	PutRide(ctx context.Context, ride device.Ride, now time.Time) (openID string, err error)

	// DueLocks returns at most most devices whose lock is due at now, the most urgent first.
	DueLocks(ctx context.Context, now time.Time, most int) ([]string, error)
}

// Service has the use cases. It is safe for concurrent use.
type Service struct {
	store    Store
	clock    clock.Clock
	commands *command.Service
}

// New returns a Service over a store.
func New(store Store, clock clock.Clock, commands *command.Service) *Service {
	return &Service{store: store, clock: clock, commands: commands}
}

// maxReference bounds a reference, in bytes.
const maxReference = 100

// maySystem refuses callers that are not a service.
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

// Unlock opens a vehicle for the reference, and returns the command. A repeated call returns the same command and
// sends nothing. FAILED_PRECONDITION if the vehicle is not locked, has no lock, or the deadline has passed. For the
// system.
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

// PutRide stores a ride: see Store. For the system.
func (s *Service) PutRide(ctx context.Context, ride device.Ride) (openID string, err error) {
	if err := maySystem(ctx, ride.VehicleID, ride.ID); err != nil {
		return "", err
	}
	if ride.AccountID == "" && !ride.Cancelled {
		return "", errs.Invalid("accountId", "is missing")
	}
	if ride.StartedAt, err = input.Time("startedAt", ride.StartedAt); err != nil {
		return "", err
	}
	if ride.EndedAt, err = input.OptionalTime("endedAt", ride.EndedAt); err != nil {
		return "", err
	}
	return s.store.PutRide(ctx, ride, s.clock.Now())
}

// Lock locks the vehicle that was opened for the reference, and retries until it is locked. It has no effect if the
// vehicle is locked, or open for another reference. A later Unlock of the reference is refused. For the system.
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
		if at.Command == nil && at.Device.Lock.Reference != reference { // this reference has opened the vehicle before
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
	_ = s.Secure(ctx, vehicleID) // the Reconciler retries failures
	return nil
}

// forestalled returns an unlock that was cancelled before it was requested.
func forestalled(t *command.Decision, reference string) command.Command {
	c := command.NewCommand(t.Device.ID, device.CommandUnlock, "{}", t.Actor, command.MinTimeout, nil, t.Now)
	c.Reference, c.Reason, c.Error = reference, device.ReasonGivenUp, "cancelled before it was requested"
	c = c.Ended(command.Cancelled, t.Now)
	c.Version = 1
	return c
}

// Secure makes a due attempt to lock.
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

// Hurry makes the next attempt to lock a vehicle that has just connected.
func (s *Service) Hurry(ctx context.Context, vehicleID string) error {
	known, err := s.store.Get(ctx, []string{vehicleID})
	if err != nil || len(known) == 0 || known[0].Lock == nil || !known[0].Lock.LockRequested {
		return err // no write, because it runs for every connected device
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

// stateMessage is the part of the topic state that concerns locks.
type stateMessage struct {
	LockState device.LockState `json:"lockState"`
}

// HandleLockState handles the lock state that a vehicle reports unasked. It does not set the state. If the vehicle
// should be locked and reports that it is open, it is locked.
func (s *Service) HandleLockState(ctx context.Context, m device.UpMessage) error {
	var said stateMessage
	if err := json.Unmarshal(m.Payload, &said); err != nil || said.LockState == "" {
		return nil // the handler of the topic validates the payload
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
