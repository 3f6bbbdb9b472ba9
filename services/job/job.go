// Package job does work at a time, or again and again, and keeps what became of it.
//
// A Job says what to do (its kind and payload) and when (its Plan). When it is due the Scheduler
// queues a Run, which is one attempt, and puts an Order on the work queue; a Worker takes the order,
// starts the run, does the work and writes the answer. The rows are the truth and the queue only
// wakes workers, so an order may be lost, late or repeated.
//
//	SCHEDULED ─► QUEUED ─► RUNNING ─► SUCCEEDED | FAILED, or SCHEDULED again on a cron
//	                ▲          └────► RETRYING
//	                └────────────────────┘            and from any but the ends ─► CANCELLED
//
// What holds at all times:
//   - A change is written only over the state and version that it was decided on (Store.Change).
//   - Only the job's present run may start, once; it alone may answer for the job. The answer of any
//     other (cancelled, taken over) is kept in its own row as CANCELLED and changes nothing else.
//   - NextRunAt is set while the job waits (SCHEDULED, RETRYING), and only then.
//   - A new time cancels the run that was queued for the old one: the job fires once, at the new time.
//   - A firing has at most MaxAttempts runs, those that were cut short by a crash counted too.
//
// What happens on failure: every run that is queued or at work has a Deadline, which a worker keeps
// moving while it lives. Past it the Scheduler orders a queued run again, and fails a running one as
// lost, which makes the next attempt due at once. So a worker, the process or the whole queue may
// vanish at any moment, and no job is forgotten; a run that has been answered is never run again.
// Firings of a cron that were missed meanwhile are made up for by one.
package job

import (
	"time"

	"github.com/sluicehq/sluice/internal/entity"
)

// Status is where a job or a run stands.
type Status string

// The states. A run knows QUEUED, RUNNING, SUCCEEDED, FAILED and CANCELLED only.
const (
	Scheduled Status = "SCHEDULED" // waits for its time
	Queued    Status = "QUEUED"    // waits for a worker
	Running   Status = "RUNNING"
	Succeeded Status = "SUCCEEDED"
	Failed    Status = "FAILED"
	Retrying  Status = "RETRYING" // an attempt has failed; the next has its time
	Cancelled Status = "CANCELLED"
)

// Final tells whether a job or a run leaves the state only when a caller asks for it.
func (s Status) Final() bool { return s == Succeeded || s == Failed || s == Cancelled }

// Waiting tells whether a job in this state has a time at which it is to be queued.
func (s Status) Waiting() bool { return s == Scheduled || s == Retrying }

// Job is work to be done at a time, or again and again.
type Job struct {
	ID          string
	Name        string
	Description string
	Kind        string // a key of Kinds
	Payload     string // JSON, as the kind wants it
	Status      Status
	Version     int64 // from 1, one more with every change
	Plan
	NextRunAt   *time.Time    // when it is to be queued; nil unless it waits
	Attempt     int           // of the present or last run, from 1; 0 before the first
	MaxAttempts int           // runs a firing at most
	Timeout     time.Duration // of one run
	DeviceID    string        // "" when it belongs to none; not verified here
	Result      string        // JSON, of the last run that ended; "" for none
	Error       string        // why the last run that ended failed
	CreatedBy   string        // caller.Name of who made it
	CreatedAt   time.Time
	UpdatedAt   time.Time

	RunID    string // the present or last run; "" when it waits for a new time
	FiringID string // the first run of the present firing
	Deleted  bool   // only in events
}

// Facts returns what the visibility of the job depends on.
func (j Job) Facts() entity.Facts { return entity.Facts{Owner: j.CreatedBy} }

// Run is one attempt to do a job's work.
type Run struct {
	ID         string
	JobID      string
	FiringID   string // the first run of the same firing: the same for an attempt and its repeats
	Attempt    int
	Status     Status
	DueAt      time.Time
	QueuedAt   time.Time
	StartedAt  *time.Time
	FinishedAt *time.Time
	Result     string // JSON; "" for none
	Error      string
	Deadline   *time.Time // QUEUED: when its order counts as lost; RUNNING: when its worker does; else nil
}

// Order is what the work queue carries: the run is to be started.
type Order struct {
	JobID string
	RunID string
}

// Counts is how many jobs stand where.
type Counts map[Status]int64

// Total is how many jobs there are.
func (c Counts) Total() int64 {
	var total int64
	for _, n := range c {
		total += n
	}
	return total
}
