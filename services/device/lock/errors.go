package lock

import (
	"github.com/sluicehq/sluice/internal/errs"
)

// Reasons for which a lock does not move.
const (
	ReasonNoLock  = "NO_LOCK"
	ReasonBusy    = "LOCK_BUSY"
	ReasonHeld    = "LOCK_HELD"
	ReasonGivenUp = "GIVEN_UP"
)

// Busy says that the lock is in another state than it would have to be.
func Busy(state State) *errs.Error {
	return errs.New(errs.FailedPrecondition, ReasonBusy, "the vehicle is %s", state)
}

// None says that there is no lock.
func None() *errs.Error {
	return errs.New(errs.FailedPrecondition, ReasonNoLock, "this device has no lock that opens on command")
}

// Held says that somebody has the vehicle.
func Held() *errs.Error {
	return errs.New(errs.FailedPrecondition, ReasonHeld, "the vehicle is on an open trip: end the trip, and it is locked")
}

// GivenUp says that it is too late.
func GivenUp() *errs.Error {
	return errs.New(errs.FailedPrecondition, ReasonGivenUp, "this was given up before it was done")
}
