package job

import (
	"errors"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
)

// Reasons of this service.
const (
	ReasonFinished  = "JOB_FINISHED"   // what is asked for has no meaning after the end
	ReasonRunning   = "JOB_RUNNING"    // wait for the run to end, or cancel it
	ReasonNotFailed = "JOB_NOT_FAILED" // only what failed or was cancelled is retried
)

func errFinished(s Status) error {
	return errs.New(errs.FailedPrecondition, ReasonFinished, "the job is %s: only retryJob makes it run again", s)
}

func errRunning(what string) error {
	return errs.New(errs.FailedPrecondition, ReasonRunning, "the job is running: cancel it, or %s when it has ended", what)
}

func errNotFailed(s Status) error {
	return errs.New(errs.FailedPrecondition, ReasonNotFailed, "the job is %s: only a job that is FAILED or CANCELLED can be run again", s)
}

// errNotToRun tells a worker that an order has nothing left to do.
var errNotToRun = errors.New("the run is not to be started")

// errSuperseded ends the work of a run that may no longer answer for its job.
var errSuperseded = errors.New("the run was cancelled or taken over")

// Failure is an error of a Kind that says more than that the attempt has failed.
type Failure struct {
	Err       error
	Permanent bool          // another attempt would fail too
	After     time.Duration // the next attempt is not due before; 0 when it does not matter
}

// Error is the text of the failure.
func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap gives what failed.
func (f *Failure) Unwrap() error { return f.Err }

// Permanent makes err the last attempt's.
func Permanent(err error) error { return &Failure{Err: err, Permanent: true} }
