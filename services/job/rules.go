package job

import (
	"errors"
	"time"

	"github.com/sluicehq/sluice/internal/clock"
)

// Change is the decision of a Rule. The zero Change changes nothing.
type Change struct {
	Job    *Job   // the new state of the job
	Runs   []Run  // new runs, and new states of runs
	Order  *Order // to enqueue, At
	At     time.Time
	Delete bool // delete the job and its runs

	Limited bool // refused when the account of the job has no storage left
}

// Rule decides the change of a job and one of its runs; run is nil without one. The store may retry it, so it must
// have no side effects.
type Rule func(j Job, run *Run) (Change, error)

// Outcome is the result of a run.
type Outcome struct {
	Result string // JSON; "" for none
	Err    error  // nil for success
}

const (
	minBackoff      = time.Second // before the second attempt; it doubles with each failure
	maxBackoff      = 5 * time.Minute
	orderTimeout    = time.Minute // after which a queued order counts as lost; doubles with each loss
	maxOrderTimeout = time.Hour
	maxErrorLength  = 1000 // runes
)

// Outcomes of runs that were interrupted from outside. The retry is due at once.
var (
	errLost    = errors.New("the worker went away before it answered")
	errStopped = errors.New("the worker was stopped before the work was done")
)

func (j Job) withNewVersion(now time.Time) Job {
	j.Version++
	j.UpdatedAt = now
	return j
}

func (j Job) due(now time.Time) bool {
	return j.Status.Waiting() && j.NextRunAt != nil && !j.NextRunAt.After(now)
}

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
	j = j.withNewVersion(now)
	j.Status, j.NextRunAt, j.RunID = Queued, nil, runID
	run := Run{
		ID: runID, JobID: j.ID, FiringID: j.FiringID, Attempt: j.Attempt,
		Status: Queued, DueAt: dueAt, QueuedAt: now, Deadline: later(now, orderTimeout),
	}
	return Change{Job: &j, Runs: []Run{run}, Order: &Order{JobID: j.ID, RunID: runID}, At: now}
}

func (j Job) isCurrent(run *Run, status Status) bool {
	return run != nil && run.Status == status && j.Status == status && j.RunID == run.ID
}

// start leases the run to a worker, which must answer or extend the lease within the time.
func (j Job) start(run *Run, now time.Time, lease time.Duration) (Change, error) {
	if !j.isCurrent(run, Queued) {
		return Change{}, errNotToRun
	}
	j = j.withNewVersion(now)
	j.Status = Running
	started := *run
	started.Status, started.StartedAt, started.Deadline = Running, &now, later(now, lease)
	return Change{Job: &j, Runs: []Run{started}}, nil
}

// answer applies the outcome of a run. A run that has lost its lease changes only its own row, and an ended run
// changes nothing.
func (j Job) answer(run *Run, outcome Outcome, now time.Time, jitter float64) Change {
	if run == nil || run.Status != Running {
		return Change{}
	}
	ended := run.withOutcome(outcome, now)
	if !j.isCurrent(run, Running) {
		ended.Status = Cancelled
		return Change{Runs: []Run{ended}}
	}
	j = j.withNewVersion(now)
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

// finished returns the job after a firing: final, or scheduled for the next time on its cron, after the firing, even
// if this machine's clock is slow.
func (j Job) finished(end Status, now, firedAt time.Time) Job {
	j.Status, j.NextRunAt = end, nil
	after := now
	if firedAt.After(after) {
		after = firedAt
	}
	if next, ok := j.next(after); ok {
		j.Status, j.NextRunAt = Scheduled, &next
	}
	return j
}

// overdue handles a run after its deadline. A queued run is ordered again, a running one is lost, and a replaced one
// is cancelled.
func (j Job) overdue(run *Run, now time.Time) Change {
	switch {
	case run == nil || run.Deadline == nil || run.Deadline.After(now):
		return Change{}
	case run.Status == Running:
		return j.answer(run, Outcome{Err: errLost}, now, 0)
	case !j.isCurrent(run, Queued):
		return Change{Runs: []Run{run.cancelled(now, "the job went on without it")}}
	}
	reordered := *run
	waited := max(orderTimeout, min(now.Sub(run.QueuedAt), maxOrderTimeout))
	reordered.Deadline = later(now, waited) // doubles with each loss
	return Change{Runs: []Run{reordered}, Order: &Order{JobID: j.ID, RunID: run.ID}, At: now}
}

// cancel cancels the job. A running run continues until its next heartbeat, and can no longer answer.
func (j Job) cancel(run *Run, now time.Time) (Change, error) {
	switch j.Status {
	case Cancelled:
		return Change{}, nil
	case Succeeded, Failed:
		return Change{}, errFinished(j.Status)
	}
	j = j.withNewVersion(now)
	j.Status, j.NextRunAt = Cancelled, nil
	return Change{Job: &j, Runs: dequeued(run, now, "the job was cancelled")}, nil
}

// retry schedules a failed or cancelled job for now, from its first attempt.
func (j Job) retry(now time.Time) (Change, error) {
	if j.Status != Failed && j.Status != Cancelled {
		return Change{}, errNotFailed(j.Status)
	}
	j = j.withNewVersion(now)
	j.Status, j.NextRunAt = Scheduled, &now
	return Change{Job: &j}, nil
}

// replan applies another plan. While a run is running, only the cron of a job that stays on a cron can change: the
// next firing is computed at the end of that run.
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

func dequeued(run *Run, now time.Time, why string) []Run {
	if run == nil || run.Status != Queued {
		return nil
	}
	return []Run{run.cancelled(now, why)}
}

func (r Run) withOutcome(outcome Outcome, now time.Time) Run {
	r.Status, r.FinishedAt, r.Deadline, r.Result = Succeeded, &now, nil, outcome.Result
	if outcome.Err != nil {
		r.Status, r.Error = Failed, errorText(outcome.Err)
	}
	return r
}

func (r Run) cancelled(now time.Time, why string) Run {
	r.Status, r.FinishedAt, r.Deadline, r.Error = Cancelled, &now, nil, why
	return r
}

func later(now time.Time, d time.Duration) *time.Time {
	t := now.Add(d).Truncate(time.Microsecond)
	return &t
}
