// Package job schedules and executes work, once or repeatedly, and stores the results.
//
// A Job has a kind, a payload and a Plan. When it is due, the Scheduler enqueues a Run, which is one attempt, and
// puts an Order on the work queue. A Worker consumes the order, starts the run, executes the kind and writes the
// answer. The rows are authoritative and the queue only wakes workers, so an order may be lost, delayed or
// redelivered. A job goes from SCHEDULED over QUEUED and RUNNING to SUCCEEDED or FAILED, on a cron to SCHEDULED
// again, and after a failed attempt over RETRYING to QUEUED; CANCELLED is possible from any state but the ends.
//
// A change is written only over the state and version that it was decided on (Store.Change). Only the current run of
// a job may start, once, and only it may answer for the job; the answer of another run is stored in its own row as
// CANCELLED. NextRunAt is set exactly while the job is SCHEDULED or RETRYING. A new time cancels the run that was
// queued for the old one. A firing has at most MaxAttempts runs, including interrupted ones.
//
// Every queued or running run has a Deadline, and heartbeats of its worker extend the lease. After the deadline the
// Scheduler orders a queued run again, and fails a running one as lost, so that the retry is due at once. A worker, a
// process or the queue may disappear at any moment: no job is forgotten, and an answered run is never executed again.
// After an outage one firing replaces all missed firings of a cron.
package job

import (
	"time"

	"github.com/sluicehq/sluice/internal/entity"
)

// Status is the state of a job or a run.
type Status string

// The states. A run is QUEUED, RUNNING, SUCCEEDED, FAILED or CANCELLED only.
const (
	Scheduled Status = "SCHEDULED" // waits until it is due
	Queued    Status = "QUEUED"    // waits for a worker
	Running   Status = "RUNNING"
	Succeeded Status = "SUCCEEDED"
	Failed    Status = "FAILED"
	Retrying  Status = "RETRYING" // an attempt failed; the retry has a time
	Cancelled Status = "CANCELLED"
)

// Final reports whether only a client changes this state.
func (s Status) Final() bool { return s == Succeeded || s == Failed || s == Cancelled }

// Waiting reports whether a job in this state has NextRunAt.
func (s Status) Waiting() bool { return s == Scheduled || s == Retrying }

// Final reports whether only a client changes this state.
type Job struct {
	ID          string
	Name        string
	Description string
	Kind        string // a key of Kinds
	Payload     string // JSON; the kind defines its form; masked where it has secrets
	Secret      string `json:"-"` // the whole payload where it has secrets, which is sealed and never shown; else ""
	Status      Status
	Version     int64 // from 1, incremented by every change
	Plan
	NextRunAt   *time.Time    // nil unless it waits
	Attempt     int           // of the current or last run, from 1; 0 before the first
	MaxAttempts int           // the most runs of a firing
	Timeout     time.Duration // of one run
	DeviceID    string        // "" for none; not verified here
	Result      string        // JSON of the last ended run; "" for none
	Error       string        // nil unless it waits
	CreatedBy   string        // caller.Name of the creator
	CreatedAt   time.Time
	UpdatedAt   time.Time

	RunID    string // the current or last run; "" before a new time
	FiringID string // the first run of the current firing
	Deleted  bool   // only in events
}

// Facts returns the facts that visibility depends on.
func (j Job) Facts() entity.Facts { return entity.Facts{Owner: j.CreatedBy} }

// Run is one attempt to execute a job.
type Run struct {
	ID         string
	JobID      string
	FiringID   string // the first run of the firing: equal for an attempt and its retries
	Attempt    int
	Status     Status
	DueAt      time.Time
	QueuedAt   time.Time
	StartedAt  *time.Time
	FinishedAt *time.Time
	Result     string // JSON; "" for none
	Error      string
	Deadline   *time.Time // QUEUED: when its order counts as lost; RUNNING: when its lease expires; else nil
}

// Order is the message on the work queue that starts a run.
type Order struct {
	JobID string
	RunID string
}

// Counts counts jobs by status.
type Counts map[Status]int64

// Total returns the number of all jobs.
func (c Counts) Total() int64 {
	var total int64
	for _, n := range c {
		total += n
	}
	return total
}
