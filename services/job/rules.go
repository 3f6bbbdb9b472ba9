package job

import (
	"errors"
	"time"

	"github.com/sluicehq/sluice/internal/clock"
)

// Change is what a Rule decides. The zero Change leaves everything as it is.
type Change struct {
	Job    *Job   // the job as it is to be
	Runs   []Run  // runs that are new, or as they are to be
	Order  *Order // to be put on the work queue, At
	At     time.Time
	Delete bool // forget the job and its runs
}

// Rule decides what becomes of a job and one of its runs; run is nil when there is none. It may be
// called again when the first try to write its decision failed, so it must have no other effects.
type Rule func(j Job, run *Run) (Change, error)

// Outcome is how the work of a run ended.
type Outcome struct {
	Result string // JSON; "" for none
	Err    error  // nil for success
}

const (
	minBackoff      = time.Second // before the second attempt; it doubles with each failure
	maxBackoff      = 5 * time.Minute
	orderTimeout    = time.Minute // after which a queued order counts as lost; it doubles with each loss
	maxOrderTimeout = time.Hour
	maxErrorLength  = 1000 // runes
)

// Outcomes of runs that were cut short by no fault of their own: the next attempt is due at once.
var (
	errLost    = errors.New("the worker went away before it answered")
	errStopped = errors.New("the worker was stopped before the work was done")
)

// touched is the job with one more change made at now.
func (j Job) touched(now time.Time) Job {
	j.Version++
	j.UpdatedAt = now
	return j
}

// due tells whether the job is to be queued.
func (j Job) due(now time.Time) bool {
	return j.Status.Waiting() && j.NextRunAt != nil && !j.NextRunAt.After(now)
}

// enqueue queues a due job's next run, under the id.
func (j Job) enqueue(now time.Time, runID string) Change {
	if !j.due(now) {
		return Change{}
	}
	dueAt := *j.NextRunAt
	switch j.Status {
	case Retrying:
		j.Attempt++
	default:
		j.Attempt, j.FiringID = 1, runID
	}
	j = j.touched(now)
	j.Status, j.NextRunAt, j.RunID = Queued, nil, runID
	run := Run{
		ID: runID, JobID: j.ID, FiringID: j.FiringID, Attempt: j.Attempt,
		Status: Queued, DueAt: dueAt, QueuedAt: now, Deadline: later(now, orderTimeout),
	}
	return Change{Job: &j, Runs: []Run{run}, Order: &Order{JobID: j.ID, RunID: runID}, At: now}
}

// isPresent tells whether run is the one that may answer for the job in the state.
func (j Job) isPresent(run *Run, status Status) bool {
	return run != nil && run.Status == status && j.Status == status && j.RunID == run.ID
}

// start hands the run to a worker that will answer, or show that it lives, within the lease.
func (j Job) start(run *Run, now time.Time, lease time.Duration) (Change, error) {
	if !j.isPresent(run, Queued) {
		return Change{}, errNotToRun
	}
	j = j.touched(now)
	j.Status = Running
	started := *run
	started.Status, started.StartedAt, started.Deadline = Running, &now, later(now, lease)
	return Change{Job: &j, Runs: []Run{started}}, nil
}

// answer writes down how a run ended. A run that may no longer answer for its job changes only its
// own row, and one whose row has an end already changes nothing.
func (j Job) answer(run *Run, outcome Outcome, now time.Time, jitter float64) Change {
	if run == nil || run.Status != Running {
		return Change{}
	}
	ended := run.ended(outcome, now)
	if !j.isPresent(run, Running) {
		ended.Status = Cancelled
		return Change{Runs: []Run{ended}}
	}
	j = j.touched(now)
	j.Result, j.Error = ended.Result, ended.Error
	switch wait, retry := j.retryAfter(outcome.Err, jitter); {
	case outcome.Err == nil:
		j = j.finished(Succeeded, now, run.DueAt)
	case retry:
		j.Status, j.NextRunAt = Retrying, later(now, wait)
	default:
		j = j.finished(Failed, now, run.DueAt)
	}
	return Change{Job: &j, Runs: []Run{ended}}
}

// retryAfter tells whether the failed attempt is followed by another, and how long after it.
func (j Job) retryAfter(err error, jitter float64) (time.Duration, bool) {
	if err == nil || j.Attempt >= j.MaxAttempts {
		return 0, false
	}
	wait := clock.Backoff(j.Attempt, minBackoff, maxBackoff, jitter)
	if failure, ok := errors.AsType[*Failure](err); ok {
		if failure.Permanent {
			return 0, false
		}
		wait = max(wait, min(failure.After, maxBackoff))
	}
	if errors.Is(err, errLost) || errors.Is(err, errStopped) {
		wait = 0
	}
	return wait, true
}

// finished is the job after a firing: at its end, or waiting for the next time on its cron. That
// time is after the one that fired, whatever this machine's clock says.
func (j Job) finished(end Status, now, firedAt time.Time) Job {
	j.Status, j.NextRunAt = end, nil
	after := now
	if firedAt.After(after) {
		after = firedAt
	}
	if next, ok := j.again(after); ok {
		j.Status, j.NextRunAt = Scheduled, &next
	}
	return j
}

// overdue deals with a run whose deadline has passed: a queued one is ordered again, one at work is
// lost, and one that its job has left behind is ended.
func (j Job) overdue(run *Run, now time.Time) Change {
	switch {
	case run == nil || run.Deadline == nil || run.Deadline.After(now):
		return Change{}
	case run.Status == Running:
		return j.answer(run, Outcome{Err: errLost}, now, 0)
	case !j.isPresent(run, Queued):
		return Change{Runs: []Run{run.cancelled(now, "the job went on without it")}}
	}
	again := *run
	waited := max(orderTimeout, min(now.Sub(run.QueuedAt), maxOrderTimeout))
	again.Deadline = later(now, waited) // twice as long each time
	return Change{Runs: []Run{again}, Order: &Order{JobID: j.ID, RunID: run.ID}, At: now}
}

// cancel ends the job. A run at work goes on, until its worker hears of it, and can no longer answer.
func (j Job) cancel(run *Run, now time.Time) (Change, error) {
	switch j.Status {
	case Cancelled:
		return Change{}, nil
	case Succeeded, Failed:
		return Change{}, errFinished(j.Status)
	}
	j = j.touched(now)
	j.Status, j.NextRunAt = Cancelled, nil
	return Change{Job: &j, Runs: dequeued(run, now, "the job was cancelled")}, nil
}

// retry makes a job that failed or was cancelled due now, from its first attempt.
func (j Job) retry(now time.Time) (Change, error) {
	if j.Status != Failed && j.Status != Cancelled {
		return Change{}, errNotFailed(j.Status)
	}
	j = j.touched(now)
	j.Status, j.NextRunAt = Scheduled, &now
	return Change{Job: &j}, nil
}

// replan gives the job another plan. While a run is at work only the cron of a job that stays on one
// can change: it counts from the end of that run.
func (j Job) replan(plan Plan, run *Run, now time.Time) (Change, error) {
	moved := !plan.same(j.Plan)
	stays := plan.repeats() && j.repeats()
	first, err := plan.first(now)
	if err != nil && (moved || !stays) {
		return Change{}, err
	}
	j.Plan = plan
	switch {
	case !moved:
		return Change{Job: &j}, nil
	case j.Status.Final():
		return Change{}, errFinished(j.Status)
	case j.Status == Running && stays:
		return Change{Job: &j}, nil
	case j.Status == Running:
		return Change{}, errRunning("give it another time")
	}
	j.Status, j.NextRunAt, j.RunID, j.FiringID = Scheduled, &first, "", ""
	return Change{Job: &j, Runs: dequeued(run, now, "the job was given another time")}, nil
}

// dequeued ends the run if it is still queued.
func dequeued(run *Run, now time.Time, why string) []Run {
	if run == nil || run.Status != Queued {
		return nil
	}
	return []Run{run.cancelled(now, why)}
}

// ended is the run with its outcome.
func (r Run) ended(outcome Outcome, now time.Time) Run {
	r.Status, r.FinishedAt, r.Deadline, r.Result = Succeeded, &now, nil, outcome.Result
	if outcome.Err != nil {
		r.Status, r.Error = Failed, errorText(outcome.Err)
	}
	return r
}

// cancelled is a run that never started.
func (r Run) cancelled(now time.Time, why string) Run {
	r.Status, r.FinishedAt, r.Deadline, r.Error = Cancelled, &now, nil, why
	return r
}

func later(now time.Time, d time.Duration) *time.Time {
	t := now.Add(d).Truncate(time.Microsecond)
	return &t
}
