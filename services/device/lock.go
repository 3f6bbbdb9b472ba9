package device

import (
	"fmt"
	"time"
)

// LockState is the state of a vehicle's lock, as last reported.
type LockState string

// The states: LOCKED → UNLOCKING → UNLOCKED → LOCKING → LOCKED. A failed unlock leads back to LOCKED, a failed lock
// to UNLOCKED. A LOCKED vehicle that reports that it is open is UNLOCKED, and is locked again.
const (
	Locked    LockState = "LOCKED"
	Unlocking LockState = "UNLOCKING"
	Unlocked  LockState = "UNLOCKED"
	Locking   LockState = "LOCKING"
)

// The commands that move a lock.
const (
	CommandUnlock = "unlock"
	CommandLock   = "lock"
)

// Lock is the lock of a vehicle.
type Lock struct {
	State         LockState  `json:"state"`
	Reference     string     `json:"holder,omitempty"`    // for which it is open: a trip; "" for none
	CommandID     string     `json:"commandId,omitempty"` // the running command, while UNLOCKING or LOCKING
	LockRequested bool       `json:"wanted,omitempty"`    // lock it, and retry until it is locked
	Doubted       bool       `json:"doubted,omitempty"`   // the vehicle reported that it is open while UNLOCKING
	Attempts      int64      `json:"attempts,omitempty"`  // failed attempts to lock, in a row
	DueAt         *time.Time `json:"dueAt,omitempty"`     // time of the next attempt; nil for none
}

// LockEvent is the type of an event of a lock.
type LockEvent string

// The events of a lock.
const (
	LockChanged LockEvent = "LOCK_CHANGED"
	LockFailed  LockEvent = "LOCK_FAILED"  // open although it should be locked; retried
	LockDoubted LockEvent = "LOCK_DOUBTED" // the vehicle reports another state than the stored one
)

// Timing of attempts to lock.
const (
	LockTimeout  = 30 * time.Second // of one attempt
	lockRetry    = 5 * time.Second  // after the first failure; doubles each time
	lockRetryMax = 5 * time.Minute
)

// DrivesLock reports whether the command moves a lock.
func DrivesLock(name string) bool { return name == CommandUnlock || name == CommandLock }

// Begin returns the lock while the command runs for the reference.
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

// End returns the lock after the command, successful or not, and the event.
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
	case name == CommandUnlock: // the unlock failed, but the vehicle is open
		return Lock{State: Unlocked, LockRequested: true, DueAt: &now}, LockDoubted
	}
	return l.Unlockable(now), LockFailed
}

// Unlockable returns the lock after a failed attempt to lock.
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

// ReportedOpen returns the lock after the vehicle reported that it is open.
func (l Lock) ReportedOpen(now time.Time) Lock {
	switch l.State {
	case Locked:
		return Lock{State: Unlocked, LockRequested: true, DueAt: &now}
	case Unlocking:
		l.Doubted = true
	}
	return l
}

// RequestLock returns the lock after the owner of the reference requested to lock.
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

// Due reports whether an attempt to lock is due.
func (l Lock) Due(now time.Time) bool {
	return l.LockRequested && l.State == Unlocked && l.DueAt != nil && !l.DueAt.After(now)
}

// Words describes the change of a lock from the state before.
func (l Lock) Words(before LockState, what LockEvent) string {
	switch {
	case what == LockFailed:
		return fmt.Sprintf("is open and did not lock, attempt %d", l.Attempts)
	case what == LockDoubted:
		return "reports that it is open, although its lock was LOCKED"
	case before == l.State:
		return "is to be locked"
	}
	return fmt.Sprintf("was %s, is %s", before, l.State)
}
