package device

import (
	"fmt"
	"time"
)

// LockState is how the lock of a vehicle stands, as far as the vehicle has told.
type LockState string

// The states: LOCKED → UNLOCKING → UNLOCKED → LOCKING → LOCKED. An unlock that fails leads back to LOCKED, a lock that
// fails to UNLOCKED. A vehicle that says it is open when we took it for locked is UNLOCKED too, and is locked again.
const (
	Locked    LockState = "LOCKED"
	Unlocking LockState = "UNLOCKING"
	Unlocked  LockState = "UNLOCKED"
	Locking   LockState = "LOCKING"
)

// The commands that drive a lock.
const (
	CommandUnlock = "unlock"
	CommandLock   = "lock"
)

// Lock is the lock of a vehicle.
type Lock struct {
	State         LockState  `json:"state"`
	Reference     string     `json:"holder,omitempty"`    // for whom it is open: a trip; "" for nobody in particular
	CommandID     string     `json:"commandId,omitempty"` // that is under way, while UNLOCKING or LOCKING
	LockRequested bool       `json:"wanted,omitempty"`    // it is to be locked, and tried until it is
	Doubted       bool       `json:"doubted,omitempty"`   // the vehicle said it was open while it was UNLOCKING for another
	Attempts      int64      `json:"attempts,omitempty"`  // at locking that failed, in a row
	DueAt         *time.Time `json:"dueAt,omitempty"`     // when to lock it; nil while nothing is to be done
}

// LockEvent is what happens to a lock, as the events of its vehicle name it.
type LockEvent string

// The happenings.
const (
	LockChanged LockEvent = "LOCK_CHANGED"
	LockFailed  LockEvent = "LOCK_FAILED"  // it is open and should not be; it is retried
	LockDoubted LockEvent = "LOCK_DOUBTED" // the vehicle says otherwise than we knew
)

// How a vehicle is locked until it is.
const (
	LockTimeout  = 30 * time.Second // for one attempt
	lockRetry    = 5 * time.Second  // after the first that failed; doubles each time
	lockRetryMax = 5 * time.Minute
)

// DrivesLock reports whether the command of that name moves a lock.
func DrivesLock(name string) bool { return name == CommandUnlock || name == CommandLock }

// Begin is the lock when the command of that name is under way for the reference.
func (l Lock) Begin(name, commandID, reference string) (Lock, error) {
	switch {
	case name == CommandUnlock && l.State == Locked:
		return Lock{State: Unlocking, Reference: reference, CommandID: commandID}, nil
	case name == CommandLock && l.State == Unlocked:
		l.State, l.CommandID, l.DueAt = Locking, commandID, nil
		return l, nil
	}
	return l, LockBusy(l.State)
}

// End is the lock when the command of that name that was under way is over, done or not, and how to tell of it.
func (l Lock) End(name string, done bool, now time.Time) (Lock, LockEvent) {
	l.CommandID = ""
	switch {
	case name == CommandUnlock && !done && !l.Doubted, name == CommandLock && done:
		return Lock{State: Locked}, LockChanged
	case name == CommandUnlock && done:
		l.State, l.Doubted = Unlocked, false
		if l.LockRequested {
			l.DueAt = &now
		}
		return l, LockChanged
	case name == CommandUnlock: // it failed, and yet the vehicle is open
		return Lock{State: Unlocked, LockRequested: true, DueAt: &now}, LockDoubted
	}
	return l.Unlockable(now), LockFailed
}

// Unlockable is the lock after an attempt at locking that failed.
func (l Lock) Unlockable(now time.Time) Lock {
	l.State, l.DueAt = Unlocked, nil
	l.Attempts++
	if l.LockRequested {
		wait := lockRetry
		for i := int64(1); i < l.Attempts && wait < lockRetryMax; i++ {
			wait *= 2
		}
		at := now.Add(min(wait, lockRetryMax))
		l.DueAt = &at
	}
	return l
}

// ReportedOpen is the lock when the vehicle says that it is open.
func (l Lock) ReportedOpen(now time.Time) Lock {
	switch l.State {
	case Locked:
		return Lock{State: Unlocked, LockRequested: true, DueAt: &now}
	case Unlocking:
		l.Doubted = true
	}
	return l
}

// RequestLock is the lock when who holds it wants it locked.
func (l Lock) RequestLock(reference string, now time.Time) Lock {
	if l.Reference != reference || l.State == Locked || l.LockRequested {
		return l
	}
	l.LockRequested = true
	if l.State == Unlocked {
		l.DueAt = &now
	}
	return l
}

// Due reports whether it is time to lock.
func (l Lock) Due(now time.Time) bool {
	return l.LockRequested && l.State == Unlocked && l.DueAt != nil && !l.DueAt.After(now)
}

// Words describes the change of a lock that was in the state before.
func (l Lock) Words(before LockState, what LockEvent) string {
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
