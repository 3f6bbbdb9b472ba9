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
	// Change writes the decision of the rule about the job and one of its runs (runID, or the current run for "")
	// with its events in one transaction, and returns the job. Changes of one job are serial. An unknown job is
	// errs.Missing. An error of the rule is returned unchanged.
	Change(ctx context.Context, jobID, runID string, rule Rule) (Job, error)
}

// Timetable is the part of a store that the Scheduler uses.
type Timetable interface {
	Changer
	// ChangeDue applies the rule, in one transaction, to at most limit jobs that are due at now, the longest due
	// first, and returns their number. Concurrent processes never find the same job.
	ChangeDue(ctx context.Context, now time.Time, limit int, rule Rule) (int, error)
	// Overdue returns at most limit runs whose deadline is not after now, the oldest first.
	Overdue(ctx context.Context, now time.Time, limit int) ([]Order, error)
	// NextWake returns the earliest time at which a job is due or a run is overdue; nil for none.
	NextWake(ctx context.Context) (*time.Time, error)
}

// Leases is the part of a store that a Worker uses.
type Leases interface {
	Changer
	// Renew extends the lease of a running run; false if the run has lost its lease.
	Renew(ctx context.Context, run Order, deadline time.Time) (bool, error)
}

// Store persists jobs and their runs. Every committed change emits event.job.changed or event.job.deleted, and every
// order is published on job.run. A store retains the newest MaxRuns runs of a job.
type Store interface {
	Timetable
	Leases
	// Create stores a new job, once for each idempotency key.
	Create(ctx context.Context, key idempotency.Key, j Job) (Job, error)
	// Get returns the existing jobs, of the owner only unless it is "".
	Get(ctx context.Context, ids []string, owner string) ([]Job, error)
	// List returns a page of jobs, newest first.
	List(ctx context.Context, filter Filter, request page.Request) (page.Page[Job], error)
	// Count counts the owner's jobs by status; all jobs for "".
	Count(ctx context.Context, owner string) (Counts, error)
	// ListOfDevices returns a page of jobs, newest first, for each device that has jobs.
	ListOfDevices(ctx context.Context, deviceIDs []string, owner string, request page.Request) (map[string]page.Page[Job], error)
	// DeleteFinished deletes at most limit jobs that ended before the time and have not changed since, the oldest
	// first, with their runs, and returns their number.
	DeleteFinished(ctx context.Context, before time.Time, limit int) (int64, error)
	// ListRuns returns a page of runs, newest first, for each job that has runs.
	ListRuns(ctx context.Context, jobIDs []string, owner string, request page.Request) (map[string]page.Page[Run], error)
}

// MaxRuns is the number of runs of a job; each new run deletes older ones.
const MaxRuns = 1000
