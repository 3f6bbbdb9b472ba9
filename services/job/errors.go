package job

import (
	"errors"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
)

// Reasons of refusals.
const (
	ReasonFinished  = "JOB_FINISHED"   // the request has no meaning after the end of the job
	ReasonRunning   = "JOB_RUNNING"    // the client can wait for the run to end, or cancel it
	ReasonNotFailed = "JOB_NOT_FAILED" // only a failed or cancelled job can be retried
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

// errNotToRun means that an order is a duplicate or out of date.
var errNotToRun = errors.New("the run is not to be started")

// errSuperseded cancels a run that has lost its lease.
var errSuperseded = errors.New("the run was cancelled or taken over")

// Failure is an error of a Kind with instructions for the retry.
type Failure struct {
	Err       error
	Permanent bool          // a retry would fail too
	After     time.Duration // the earliest delay of the retry; 0 for the default
}

// Error returns the text of the failure.
func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap returns the wrapped error.
func (f *Failure) Unwrap() error { return f.Err }

// Permanent wraps an error that no retry can fix.
func Permanent(err error) error { return &Failure{Err: err, Permanent: true} }
