// Package storetest is the suite that every job.Store passes.
package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/services/job"
)

// Store is a store whose outbox the suite can read.
type Store struct {
	job.Store
	Events func(t *testing.T) []Event // all that were emitted, in order
}

// Event is what a store emitted.
type Event struct {
	Subject string
	Data    string // what the store's encoders wrote: see EncodeJob and EncodeOrder
}

// EncodeJob is the encoder of jobs that the suite expects the store to use.
func EncodeJob(j job.Job) ([]byte, error) { return []byte(j.ID + " " + string(j.Status)), nil }

// EncodeOrder is the encoder of orders that the suite expects the store to use.
func EncodeOrder(o job.Order) ([]byte, error) { return []byte(o.RunID), nil }

// Run runs the suite; open gives a fresh store.
func Run(t *testing.T, open func(t *testing.T) Store) {
	for name, test := range map[string]func(*testing.T, Store){
		"a job reads back as it was kept":               readsBack,
		"a key keeps one job":                           keyOnce,
		"what is not there is missing":                  missing,
		"a rule that refuses leaves nothing":            refusal,
		"a change emits the job and the order":          changeEmits,
		"changes at once stand in line":                 changesAtOnce,
		"one of many with the same version wins":        oneVersionWins,
		"due jobs are found once":                       dueOnce,
		"schedulers at once queue each job once":        schedulersAtOnce,
		"a run starts once":                             startsOnce,
		"a lease is renewed while the run is present":   renew,
		"the next time is the earliest of all":          nextWake,
		"overdue runs are found":                        overdue,
		"a deleted job is gone with its runs":           deleted,
		"a list comes in pages, newest first":           listPages,
		"a list is narrowed":                            listFilters,
		"reads follow the visibility rule":              visibilityFollowsTheRule,
		"counts are by status and owner":                counts,
		"jobs of devices come a page a device":          deviceJobs,
		"runs of jobs come a page a job":                runPages,
		"a foreign or broken cursor is refused":         badCursors,
		"old runs are forgotten, those at work are not": oldRuns,
		"jobs that are long finished are forgotten":     forgetsFinished,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// noon is when these tests take place.
func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 123000, time.UTC) }

func at(offset time.Duration) *time.Time {
	t := noon().Add(offset)
	return &t
}

// newJob is a job that is due at noon.
func newJob() job.Job {
	return job.Job{
		ID: ids.New(ids.Job), Name: "Nächtlicher Bericht", Description: "two\nlines", Kind: "log", Payload: `{"message": "hi"}`,
		Status: job.Scheduled, Version: 1, Plan: job.Plan{RunAt: at(0), TimeZone: "UTC"}, NextRunAt: at(0),
		MaxAttempts: 3, Timeout: 30 * time.Second, DeviceID: ids.New(ids.Device), CreatedBy: "account_a",
		CreatedAt: noon(), UpdatedAt: noon(),
	}
}

func create(t *testing.T, s Store, j job.Job) job.Job {
	t.Helper()
	created, err := s.Create(t.Context(), idempotency.Key{}, j)
	if err != nil {
		t.Fatal(err)
	}
	return created
}

func get(t *testing.T, s Store, id string) job.Job {
	t.Helper()
	jobs, err := s.Get(t.Context(), []string{id}, "")
	if err != nil || len(jobs) != 1 {
		t.Fatalf("get %s: %v, %v", id, jobs, err)
	}
	return jobs[0]
}

// set is a rule that puts the job into the state, with one more change.
func set(status job.Status) job.Rule {
	return func(j job.Job, _ *job.Run) (job.Change, error) {
		j.Status, j.Version = status, j.Version+1
		if !status.Waiting() {
			j.NextRunAt = nil
		}
		return job.Change{Job: &j}, nil
	}
}

// queueRun is a rule that queues a new run of the job.
func queueRun(runID string, queuedAt time.Time) job.Rule {
	return func(j job.Job, _ *job.Run) (job.Change, error) {
		j.Status, j.Version, j.NextRunAt, j.RunID, j.FiringID = job.Queued, j.Version+1, nil, runID, runID
		j.Attempt++
		deadline := queuedAt.Add(time.Minute)
		run := job.Run{
			ID: runID, JobID: j.ID, FiringID: runID, Attempt: j.Attempt, Status: job.Queued,
			DueAt: queuedAt, QueuedAt: queuedAt, Deadline: &deadline,
		}
		return job.Change{Job: &j, Runs: []job.Run{run}, Order: &job.Order{JobID: j.ID, RunID: runID}, At: queuedAt}, nil
	}
}

// startRun is a rule that starts the run if it is queued.
func startRun(deadline time.Time) job.Rule {
	return func(j job.Job, run *job.Run) (job.Change, error) {
		if run == nil || run.Status != job.Queued || j.Status != job.Queued {
			return job.Change{}, errRefused
		}
		j.Status, j.Version = job.Running, j.Version+1
		started := *run
		started.Status, started.StartedAt, started.Deadline = job.Running, at(time.Second), &deadline
		return job.Change{Job: &j, Runs: []job.Run{started}}, nil
	}
}

// endRun is a rule that ends the run, and the job with it.
func endRun(j job.Job, run *job.Run) (job.Change, error) {
	j.Status, j.Version, j.Result = job.Succeeded, j.Version+1, `{"logged":true}`
	ended := *run
	ended.Status, ended.FinishedAt, ended.Deadline, ended.Result = job.Succeeded, at(time.Minute), nil, j.Result
	return job.Change{Job: &j, Runs: []job.Run{ended}}, nil
}

var errRefused = errors.New("refused")

func change(t *testing.T, s Store, id string, rule job.Rule) job.Job {
	t.Helper()
	j, err := s.Change(t.Context(), id, "", rule)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// atOnce runs f n times at once and gives the errors.
func atOnce(ctx context.Context, n int, f func(ctx context.Context, i int) error) []error {
	failed := make(chan error, n)
	for i := range n {
		go func() { failed <- f(ctx, i) }()
	}
	all := make([]error, n)
	for i := range all {
		all[i] = <-failed
	}
	return all
}
