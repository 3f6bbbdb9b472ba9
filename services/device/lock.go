package device

import (
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
)

// LockState is how the lock of a vehicle stands, as far as the vehicle has told.
type LockState string

// The states: LOCKED → UNLOCKING → UNLOCKED → LOCKING → LOCKED. An unlock that fails leads back to
// LOCKED, a lock that fails to UNLOCKED. A vehicle that says it is open when we took it for locked is
// UNLOCKED too, and is locked again.
const (
	Locked    LockState = "LOCKED"
	Unlocking LockState = "UNLOCKING"
	Unlocked  LockState = "UNLOCKED"
	Locking   LockState = "LOCKING"
)

// The commands that drive a lock.
const (
	commandUnlock = "unlock"
	commandLock   = "lock"
)

// Lock is the lock of a vehicle.
type Lock struct {
	State     LockState  `json:"state"`
	Holder    string     `json:"holder,omitempty"`    // for whom it is open: a trip; "" for nobody in particular
	CommandID string     `json:"commandId,omitempty"` // that is under way, while UNLOCKING or LOCKING
	Wanted    bool       `json:"wanted,omitempty"`    // it is to be locked, and tried until it is
	Doubted   bool       `json:"doubted,omitempty"`   // the vehicle said it was open while it was UNLOCKING for another
	Attempts  int64      `json:"attempts,omitempty"`  // at locking that failed, in a row
	DueAt     *time.Time `json:"dueAt,omitempty"`     // when to lock it; nil while nothing is to be done
}

// How a vehicle is locked until it is.
const (
	lockTimeout  = 30 * time.Second // for one attempt
	lockRetry    = 5 * time.Second  // after the first that failed; doubles each time
	lockRetryTop = 5 * time.Minute
)

// The events of locks.
const (
	LockChanged EventType = "LOCK_CHANGED"
	LockFailed  EventType = "LOCK_FAILED"  // it is open and should not be; it is tried again
	LockDoubted EventType = "LOCK_DOUBTED" // the vehicle says otherwise than we knew
)

// lockData is the data of an event about a lock.
type lockData struct {
	From      LockState `json:"from"`
	To        LockState `json:"to"`
	CommandID string    `json:"commandId,omitempty"`
	Holder    string    `json:"holder,omitempty"`
	Attempts  int64     `json:"attempts,omitempty"`
}

// drives tells whether the command moves the lock of the device.
func drives(d Device, name string) bool {
	return d.Lock != nil && (name == commandUnlock || name == commandLock)
}

// begin is the lock when the command is under way.
func (l Lock) begin(c Command) (Lock, error) {
	switch {
	case c.Name == commandUnlock && l.State == Locked:
		return Lock{State: Unlocking, Holder: c.Reference, CommandID: c.ID}, nil
	case c.Name == commandLock && l.State == Unlocked:
		l.State, l.CommandID, l.DueAt = Locking, c.ID, nil
		return l, nil
	}
	return l, lockBusy(l.State)
}

// end is the lock when the command that was under way is over, and how to tell of it.
func (l Lock) end(c Command, now time.Time) (Lock, EventType) {
	l.CommandID = ""
	done := c.Status == Succeeded
	switch {
	case c.Name == commandUnlock && !done && !l.Doubted, c.Name == commandLock && done:
		return Lock{State: Locked}, LockChanged
	case c.Name == commandUnlock && done:
		l.State, l.Doubted = Unlocked, false
		if l.Wanted {
			l.DueAt = &now
		}
		return l, LockChanged
	case c.Name == commandUnlock: // it failed, and yet the vehicle is open
		return Lock{State: Unlocked, Wanted: true, DueAt: &now}, LockDoubted
	}
	return l.unlockable(now), LockFailed
}

// unlockable is the lock after an attempt at locking that failed.
func (l Lock) unlockable(now time.Time) Lock {
	l.State, l.DueAt = Unlocked, nil
	l.Attempts++
	if l.Wanted {
		wait := lockRetry
		for i := int64(1); i < l.Attempts && wait < lockRetryTop; i++ {
			wait *= 2
		}
		at := now.Add(min(wait, lockRetryTop))
		l.DueAt = &at
	}
	return l
}

// doubted is the lock when the vehicle says that it is open.
func (l Lock) doubted(now time.Time) Lock {
	switch l.State {
	case Locked:
		return Lock{State: Unlocked, Wanted: true, DueAt: &now}
	case Unlocking:
		l.Doubted = true
	}
	return l
}

// wantedBy is the lock when who holds it wants it locked.
func (l Lock) wantedBy(holder string, now time.Time) Lock {
	if l.Holder != holder || l.State == Locked || l.Wanted {
		return l
	}
	l.Wanted = true
	if l.State == Unlocked {
		l.DueAt = &now
	}
	return l
}

// due tells whether it is time to lock.
func (l Lock) due(now time.Time) bool {
	return l.Wanted && l.State == Unlocked && l.DueAt != nil && !l.DueAt.After(now)
}

func (l Lock) words(before LockState, what EventType) string {
	switch {
	case what == LockFailed:
		return fmt.Sprintf("is open and did not lock, attempt %d", l.Attempts)
	case what == LockDoubted:
		return "says that it is open, although it was taken for locked"
	case before == l.State:
		return "is to be locked"
	}
	return fmt.Sprintf("was %s, is %s", before, l.State)
}

func lockBusy(state LockState) *errs.Error {
	return errs.New(errs.FailedPrecondition, ReasonLockBusy, "the vehicle is %s", state)
}

func noLock() *errs.Error {
	return errs.New(errs.FailedPrecondition, ReasonNoLock, "this device has no lock that opens on command")
}

func lockHeld() *errs.Error {
	return errs.New(errs.FailedPrecondition, ReasonLockHeld, "the vehicle is on an open trip: end the trip, and it is locked")
}

func givenUp() *errs.Error {
	return errs.New(errs.FailedPrecondition, ReasonGivenUp, "this was given up before it was done")
}
