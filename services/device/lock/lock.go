// Package lock says how the lock of a vehicle moves: from which state to which, by which command's end,
// and when it is tried again. It keeps and sends nothing.
package lock

import (
	"fmt"
	"time"
)

// State is how the lock of a vehicle stands, as far as the vehicle has told.
type State string

// The states: LOCKED → UNLOCKING → UNLOCKED → LOCKING → LOCKED. An unlock that fails leads back to
// LOCKED, a lock that fails to UNLOCKED. A vehicle that says it is open when we took it for locked is
// UNLOCKED too, and is locked again.
const (
	Locked    State = "LOCKED"
	Unlocking State = "UNLOCKING"
	Unlocked  State = "UNLOCKED"
	Locking   State = "LOCKING"
)

// The commands that drive a lock.
const (
	ToUnlock = "unlock"
	ToLock   = "lock"
)

// Lock is the lock of a vehicle.
type Lock struct {
	State     State      `json:"state"`
	Holder    string     `json:"holder,omitempty"`    // for whom it is open: a trip; "" for nobody in particular
	CommandID string     `json:"commandId,omitempty"` // that is under way, while UNLOCKING or LOCKING
	Wanted    bool       `json:"wanted,omitempty"`    // it is to be locked, and tried until it is
	Doubted   bool       `json:"doubted,omitempty"`   // the vehicle said it was open while it was UNLOCKING for another
	Attempts  int64      `json:"attempts,omitempty"`  // at locking that failed, in a row
	DueAt     *time.Time `json:"dueAt,omitempty"`     // when to lock it; nil while nothing is to be done
}

// Happening is what happens to a lock, as the events of its vehicle name it.
type Happening string

// The happenings.
const (
	Changed Happening = "LOCK_CHANGED"
	Failed  Happening = "LOCK_FAILED"  // it is open and should not be; it is tried again
	Doubted Happening = "LOCK_DOUBTED" // the vehicle says otherwise than we knew
)

// How a vehicle is locked until it is.
const (
	Timeout  = 30 * time.Second // for one attempt
	retry    = 5 * time.Second  // after the first that failed; doubles each time
	retryTop = 5 * time.Minute
)

// Drives tells whether the command of that name moves a lock.
func Drives(name string) bool { return name == ToUnlock || name == ToLock }

// Begin is the lock when the command of that name is under way for the reference.
func (l Lock) Begin(name, commandID, reference string) (Lock, error) {
	switch {
	case name == ToUnlock && l.State == Locked:
		return Lock{State: Unlocking, Holder: reference, CommandID: commandID}, nil
	case name == ToLock && l.State == Unlocked:
		l.State, l.CommandID, l.DueAt = Locking, commandID, nil
		return l, nil
	}
	return l, Busy(l.State)
}

// End is the lock when the command of that name that was under way is over, done or not, and how to
// tell of it.
func (l Lock) End(name string, done bool, now time.Time) (Lock, Happening) {
	l.CommandID = ""
	switch {
	case name == ToUnlock && !done && !l.Doubted, name == ToLock && done:
		return Lock{State: Locked}, Changed
	case name == ToUnlock && done:
		l.State, l.Doubted = Unlocked, false
		if l.Wanted {
			l.DueAt = &now
		}
		return l, Changed
	case name == ToUnlock: // it failed, and yet the vehicle is open
		return Lock{State: Unlocked, Wanted: true, DueAt: &now}, Doubted
	}
	return l.Unlockable(now), Failed
}

// Unlockable is the lock after an attempt at locking that failed.
func (l Lock) Unlockable(now time.Time) Lock {
	l.State, l.DueAt = Unlocked, nil
	l.Attempts++
	if l.Wanted {
		wait := retry
		for i := int64(1); i < l.Attempts && wait < retryTop; i++ {
			wait *= 2
		}
		at := now.Add(min(wait, retryTop))
		l.DueAt = &at
	}
	return l
}

// SaidOpen is the lock when the vehicle says that it is open.
func (l Lock) SaidOpen(now time.Time) Lock {
	switch l.State {
	case Locked:
		return Lock{State: Unlocked, Wanted: true, DueAt: &now}
	case Unlocking:
		l.Doubted = true
	}
	return l
}

// WantedBy is the lock when who holds it wants it locked.
func (l Lock) WantedBy(holder string, now time.Time) Lock {
	if l.Holder != holder || l.State == Locked || l.Wanted {
		return l
	}
	l.Wanted = true
	if l.State == Unlocked {
		l.DueAt = &now
	}
	return l
}

// Due tells whether it is time to lock.
func (l Lock) Due(now time.Time) bool {
	return l.Wanted && l.State == Unlocked && l.DueAt != nil && !l.DueAt.After(now)
}

// Words tells of a lock that was in the state before.
func (l Lock) Words(before State, what Happening) string {
	switch {
	case what == Failed:
		return fmt.Sprintf("is open and did not lock, attempt %d", l.Attempts)
	case what == Doubted:
		return "says that it is open, although it was taken for locked"
	case before == l.State:
		return "is to be locked"
	}
	return fmt.Sprintf("was %s, is %s", before, l.State)
}
