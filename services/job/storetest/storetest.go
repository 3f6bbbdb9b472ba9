// Package storetest is the conformance suite of job.Store. Every implementation must pass it, on every engine.
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
	Events func(t *testing.T) []Event // all emitted events, in order
}

// Event is an event that a store emitted.
type Event struct {
	Subject string
	Data    string // the payload of EncodeJob or EncodeOrder
}

// EncodeJob is the encoder of jobs for the stores under test.
func EncodeJob(j job.Job) ([]byte, error) { return []byte(j.ID + " " + string(j.Status)), nil }

// EncodeOrder is the encoder of orders for the stores under test.
func EncodeOrder(o job.Order) ([]byte, error) { return []byte(o.RunID), nil }

// Run runs the suite. Each call of open returns an empty store.
func Run(t *testing.T, open func(t *testing.T) Store) {
	for name, test := range map[string]func(*testing.T, Store){
		"job, created, is read back unchanged":                   readsBack,
		"create, idempotency key replayed, stores one job":       keyOnce,
		"job, unknown, is Missing":                               missing,
		"change, refused by the rule, stores nothing":            refusal,
		"change, with order, emits the job and the order":        changeEmits,
		"changes, concurrent, are serialized":                    changesAtOnce,
		"changes, concurrent at one version, apply one":          oneVersionWins,
		"due jobs, several passes, are found once":               dueOnce,
		"schedulers, concurrent, enqueue each job once":          schedulersAtOnce,
		"run, started concurrently, starts once":                 startsOnce,
		"lease, run current, is renewed":                         renew,
		"NextWake, many jobs and runs, is the earliest time":     nextWake,
		"Overdue, deadlines passed, returns these runs":          overdue,
		"job, deleted, is Missing with its runs":                 deleted,
		"List, read page by page, returns all jobs newest first": listPages,
		"List, with filter, returns matching jobs":               listFilters,
		"reads, any caller, follow the visibility rule":          visibilityFollowsTheRule,
		"Count, with owner, counts by status":                    counts,
		"ListOfDevices, several devices, returns a page each":    deviceJobs,
		"ListRuns, several jobs, returns a page each":            runPages,
		"lists, foreign or invalid cursor, are refused":          invalidCursors,
		"runs, more than RunsKept, are deleted once ended":       oldRuns,
		"DeleteFinished, jobs expired, deletes them":             forgetsFinished,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 123000, time.UTC) }

func at(offset time.Duration) *time.Time {
	t := noon().Add(offset)
	return &t
}

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

func set(status job.Status) job.Rule {
	return func(j job.Job, _ *job.Run) (job.Change, error) {
		j.Status, j.Version = status, j.Version+1
		if !status.Waiting() {
			j.NextRunAt = nil
		}
		return job.Change{Job: &j}, nil
	}
}

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

func concurrently(ctx context.Context, n int, f func(ctx context.Context, i int) error) []error {
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
