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
	NameContains string // part of the name, ignoring case
	CreatedBy    string // caller.Name of the creator
}

// Changer applies rules to jobs.
type Changer interface {
	// Change calls the rule with the job and one of its runs (runID, or the current run for ""). It writes the decision
	// and its events in one transaction, which is serialized with all other changes of the job, and returns the changed
	// job. An unknown job is errs.Missing. An error of the rule is returned unchanged, and then nothing is written.
	Change(ctx context.Context, jobID, runID string, rule Rule) (Job, error)
}

// Timetable is the part of a store that the Scheduler uses.
type Timetable interface {
	Changer
	// ChangeDue applies the rule, in one transaction, to at most limit jobs that are due at now, the longest due
	// first. It returns how many it found. Concurrent processes never find the same job.
	ChangeDue(ctx context.Context, now time.Time, limit int, rule Rule) (int, error)
	// Overdue returns at most limit runs whose deadline is not after now, the oldest first.
	Overdue(ctx context.Context, now time.Time, limit int) ([]Order, error)
	// NextWake returns the earliest time at which a job is due or a run is overdue; nil for none.
	NextWake(ctx context.Context) (*time.Time, error)
}

// Leases is the part of a store that a Worker uses.
type Leases interface {
	Changer
	// Renew extends the lease of a running run. It returns false when the run has lost its lease.
	Renew(ctx context.Context, run Order, deadline time.Time) (bool, error)
}

// Store persists jobs and their runs. Every committed change emits the job as event.job.changed or event.job.deleted,
// and every order is published on job.run. A store keeps the newest RunsKept runs of a job.
type Store interface {
	Timetable
	Leases
	// Create stores a new job, once for each idempotency key.
	Create(ctx context.Context, key idempotency.Key, j Job) (Job, error)
	// Get returns the jobs that exist. With an owner other than "" it returns only jobs of that creator.
	Get(ctx context.Context, ids []string, owner string) ([]Job, error)
	// List returns a page of jobs, newest first.
	List(ctx context.Context, filter Filter, request page.Request) (page.Page[Job], error)
	// Count counts the owner's jobs by status; all jobs for "".
	Count(ctx context.Context, owner string) (Counts, error)
	// ListOfDevices returns a page of jobs, newest first, for each device that has jobs.
	ListOfDevices(ctx context.Context, deviceIDs []string, owner string, request page.Request) (map[string]page.Page[Job], error)
	// DeleteFinished deletes at most limit jobs that ended before the time and have not changed since, the oldest
	// first, with their runs. It returns how many it deleted.
	DeleteFinished(ctx context.Context, before time.Time, limit int) (int64, error)
	// ListRuns returns a page of runs, newest first, for each job that has runs.
	ListRuns(ctx context.Context, jobIDs []string, owner string, request page.Request) (map[string]page.Page[Run], error)
}

// MaxRuns is the least number of runs that a job keeps. Each new run deletes older ones.
const MaxRuns = 1000
