package device

import (
	"github.com/sluicehq/sluice/internal/errs"
)

// Reasons why a lock does not move.
const (
	ReasonNoLock   = "NO_LOCK"
	ReasonLockBusy = "LOCK_BUSY"
	ReasonLockHeld = "LOCK_HELD"
	ReasonGivenUp  = "GIVEN_UP"
)

// LockBusy reports that the state of the lock does not allow the command.
func LockBusy(state LockState) *errs.Error {
	return errs.New(errs.FailedPrecondition, ReasonLockBusy, "the vehicle is %s", state)
}

// NoLock reports that the device has no lock.
func NoLock() *errs.Error {
	return errs.New(errs.FailedPrecondition, ReasonNoLock, "this device has no lock that opens on command")
}

// LockHeld reports that a trip uses the vehicle.
func LockHeld() *errs.Error {
	return errs.New(errs.FailedPrecondition, ReasonLockHeld, "the vehicle is on an open trip: end the trip, and it is locked")
}

// GivenUp reports that the request was cancelled before it was executed.
func GivenUp() *errs.Error {
	return errs.New(errs.FailedPrecondition, ReasonGivenUp, "the request was cancelled before it was executed")
}
