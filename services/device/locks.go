package device

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
)

// maxReference bounds what an unlock is done for, in bytes.
const maxReference = 100

// maySystem keeps what services do for each other to services.
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
	return checkID("vehicleId", deviceID)
}

// Unlock opens a vehicle for the reference, and gives the command that does it. Asked again, it gives
// the same command as it then stands, and sends nothing. FAILED_PRECONDITION when the vehicle is not
// locked, when it has no lock, or when the deadline has passed. For the system.
func (s *Service) Unlock(ctx context.Context, vehicleID, reference string, deadline time.Time) (Command, error) {
	if err := maySystem(ctx, vehicleID, reference); err != nil {
		return Command{}, err
	}
	now := s.clock.Now()
	return s.start(ctx, About{DeviceID: vehicleID, Reference: reference, Now: now}, "system", func(t *turn) (Command, error) {
		switch {
		case t.Command != nil:
			return *t.Command, nil
		case t.Device.Lock == nil:
			return Command{}, noLock()
		case !deadline.After(now):
			return Command{}, givenUp()
		}
		c := made(vehicleID, commandUnlock, "{}", "system", deadline.Sub(now), nil, now)
		c.Reference = reference
		return c, nil
	})
}

// Lock locks the vehicle that was opened for the reference, and goes on until it is locked. It does
// nothing when the vehicle is open for somebody else, or locked. An unlock for the reference that has
// not been asked for yet will be refused. For the system.
func (s *Service) Lock(ctx context.Context, vehicleID, reference string) error {
	if err := maySystem(ctx, vehicleID, reference); err != nil {
		return err
	}
	now := s.clock.Now()
	_, err := s.store.Work(ctx, About{DeviceID: vehicleID, Reference: reference, Now: now}, func(at Situation) (Work, error) {
		t := &turn{Situation: at, now: now, actor: "system"}
		if at.Device.Lock == nil {
			return Work{}, nil
		}
		if at.Command == nil {
			return t.done(t.put(t.forestalled(reference)))
		}
		before := *at.Device.Lock
		after := before.wantedBy(reference, now)
		if after == before {
			return Work{}, nil
		}
		return t.done(t.move(after, LockChanged, ""))
	})
	if err != nil {
		return fmt.Errorf("lock a vehicle: %w", err)
	}
	_ = s.secure(ctx, vehicleID) // what fails is tried again by the Attendant
	return nil
}

// forestalled is an unlock that was given up before it was asked for.
func (t *turn) forestalled(reference string) Command {
	c := made(t.Device.ID, commandUnlock, "{}", t.actor, minTimeout, nil, t.now)
	c.Reference, c.Reason, c.Error = reference, ReasonGivenUp, "given up before it was asked for"
	c = c.ended(Cancelled, t.now)
	c.Version = 1
	return c
}

// secure makes the attempt at locking that is due.
func (s *Service) secure(ctx context.Context, vehicleID string) error {
	now := s.clock.Now()
	c, err := s.store.Work(ctx, About{DeviceID: vehicleID, Now: now}, func(at Situation) (Work, error) {
		t := &turn{Situation: at, now: now, actor: "system"}
		if at.Device.Lock == nil || !at.Device.Lock.due(now) {
			return Work{}, nil
		}
		if at.Device.Presence == Offline {
			return t.done(t.move(at.Device.Lock.unlockable(now), LockFailed, ""))
		}
		c := made(vehicleID, commandLock, "{}", "system", lockTimeout, nil, now)
		c.Reference = at.Device.Lock.Holder
		return t.done(t.started(c))
	})
	if err != nil {
		return fmt.Errorf("lock a vehicle: %w", err)
	}
	s.dispatched(ctx, c)
	return nil
}
