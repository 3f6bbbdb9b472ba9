package job

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/page"
)

// Filter narrows a list of jobs. The zero value of a field does not narrow.
type Filter struct {
	Statuses     []Status
	Kinds        []string
	DeviceID     string
	NameContains string // part of the name, whatever the case
	CreatedBy    string // caller.Name of who made them
}

// Changer applies rules to jobs.
type Changer interface {
	// Change hands the job and one of its runs (runID, or the present one when it is "") to the rule
	// and writes what it decides, with the events that tell of it, in one transaction in which no
	// other change to the job comes between. It gives the job as it is afterwards. No such job is
	// errs.Missing; the rule's error comes back as it is, and then nothing is written.
	Change(ctx context.Context, jobID, runID string, rule Rule) (Job, error)
}

// Timetable is what the Scheduler needs of a store.
type Timetable interface {
	Changer
	// ChangeDue applies the rule, in one transaction, to at most limit jobs that wait for a time that
	// is not after now, the longest due first, and tells how many it found. Of several processes that
	// do so at once, each job is found by one.
	ChangeDue(ctx context.Context, now time.Time, limit int, rule Rule) (int, error)
	// Overdue gives at most limit runs whose deadline is not after now, the oldest first.
	Overdue(ctx context.Context, now time.Time, limit int) ([]Order, error)
	// NextWake is the earliest time that a job waits for or at which a run is overdue; nil for none.
	NextWake(ctx context.Context) (*time.Time, error)
}

// Leases is what a Worker needs of a store.
type Leases interface {
	Changer
	// Renew moves the deadline of a run at work, and tells false when it may no longer answer for its
	// job.
	Renew(ctx context.Context, run Order, deadline time.Time) (bool, error)
}

// Store keeps jobs and their runs. Every change that it commits emits the job as event.job.changed,
// or event.job.deleted, and every order goes out on job.run. Of a job's runs it keeps the newest
// RunsKept.
type Store interface {
	Timetable
	Leases
	// Create keeps a new job, once a key.
	Create(ctx context.Context, key idempotency.Key, j Job) (Job, error)
	// Get gives those jobs that there are. An owner other than "" hides the jobs of all others.
	Get(ctx context.Context, ids []string, owner string) ([]Job, error)
	// List gives a page of jobs, newest first.
	List(ctx context.Context, filter Filter, request page.Request) (page.Page[Job], error)
	// Count counts the owner's jobs by status; all jobs for "".
	Count(ctx context.Context, owner string) (Counts, error)
	// ListOfDevices gives a page of jobs, newest first, for each device that has any.
	ListOfDevices(ctx context.Context, deviceIDs []string, owner string, request page.Request) (map[string]page.Page[Job], error)
	// ForgetFinished drops at most so many jobs that were finished before the time and have not changed
	// since, the oldest first, with their runs, and tells how many.
	ForgetFinished(ctx context.Context, before time.Time, most int) (int64, error)
	// ListRuns gives a page of runs, newest first, for each job that has any.
	ListRuns(ctx context.Context, jobIDs []string, owner string, request page.Request) (map[string]page.Page[Run], error)
}

// RunsKept is how many runs of a job are kept at least; older ones are forgotten as new ones come.
const RunsKept = 1000
