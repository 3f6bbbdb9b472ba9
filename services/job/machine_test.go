package job

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// machine is a job and all of its runs. Random events act on it in any order.
type machine struct {
	now   time.Time
	job   Job
	runs  map[string]*Run
	names []string // of runs, in the order of creation
	began map[string]int
	fired map[string]int // runs by firing
}

// apply writes a change as a store does, and checks the invariants of a change.
func (m *machine) apply(t *rapid.T, change Change, err error) {
	if err != nil {
		return
	}
	if change.Job != nil {
		if change.Job.Version != m.job.Version+1 {
			t.Fatalf("version %d after %d", change.Job.Version, m.job.Version)
		}
		m.job = *change.Job
	}
	for _, run := range change.Runs {
		before, known := m.runs[run.ID]
		if !known {
			m.names = append(m.names, run.ID)
			m.fired[run.FiringID]++
		}
		if known && before.Status.Final() {
			t.Fatalf("run %s was changed after its end: %+v", run.ID, run)
		}
		if run.Status == Running && known && before.Status == Queued {
			m.began[run.ID]++
		}
		m.runs[run.ID] = &run
	}
}

// run picks one of the runs, most often the current one; nil when there is none.
func (m *machine) run(t *rapid.T) *Run {
	if len(m.names) == 0 {
		return nil
	}
	if rapid.Bool().Draw(t, "present") {
		return m.runs[m.job.RunID]
	}
	return m.runs[rapid.SampledFrom(m.names).Draw(t, "run")]
}

func (m *machine) plan(t *rapid.T) Plan {
	if rapid.Bool().Draw(t, "repeats") {
		return Plan{Cron: rapid.SampledFrom([]string{"* * * * *", "30 2 * * *"}).Draw(t, "cron"), TimeZone: "Europe/Berlin"}
	}
	at := m.now.Add(time.Duration(rapid.IntRange(-60, 600).Draw(t, "in")) * time.Second)
	return Plan{RunAt: &at, TimeZone: "UTC"}
}

// actions returns the possible events, each with its postconditions.
func (m *machine) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"time passes": func(t *rapid.T) {
			m.now = m.now.Add(time.Duration(rapid.IntRange(0, 120).Draw(t, "seconds")) * time.Second)
		},
		"the scheduler looks": func(t *rapid.T) {
			m.apply(t, m.job.enqueue(m.now, fmt.Sprintf("run_%d", len(m.names))), nil)
			for _, run := range m.runs {
				m.apply(t, m.job.overdue(run, m.now), nil)
			}
		},
		"an order arrives": func(t *rapid.T) {
			change, err := m.job.start(m.run(t), m.now, lease)
			m.apply(t, change, err)
		},
		"a worker answers": func(t *rapid.T) {
			outcome := Outcome{Err: rapid.SampledFrom([]error{nil, errLost, errors.New("no"), Permanent(errors.New("never"))}).Draw(t, "error")}
			before := m.job
			m.apply(t, m.job.answer(m.run(t), outcome, m.now, rapid.Float64Range(0, 1).Draw(t, "jitter")), nil)
			if before.Status.Final() && m.job.Status != before.Status {
				t.Fatalf("a late answer turned %s into %s", before.Status, m.job.Status)
			}
		},
		"a caller cancels": func(t *rapid.T) {
			change, err := m.job.cancel(m.runs[m.job.RunID], m.now)
			m.apply(t, change, err)
		},
		"a caller retries": func(t *rapid.T) {
			change, err := m.job.retry(m.now)
			m.apply(t, change, err)
		},
		"a caller gives another time": func(t *rapid.T) {
			change, err := m.job.withNewVersion(m.now).replan(m.plan(t), m.runs[m.job.RunID], m.now)
			m.apply(t, change, err)
		},
		"": m.check,
	}
}

func (m *machine) check(t *rapid.T) {
	j := m.job
	if j.Status.Waiting() != (j.NextRunAt != nil) {
		t.Fatalf("%s with next time %v", j.Status, j.NextRunAt)
	}
	if j.Attempt > j.MaxAttempts {
		t.Fatalf("attempt %d of %d", j.Attempt, j.MaxAttempts)
	}
	if j.Status == Queued || j.Status == Running {
		if run := m.runs[j.RunID]; run == nil || run.Status != j.Status {
			t.Fatalf("the job is %s, its run %+v", j.Status, run)
		}
	}
	for id, run := range m.runs {
		if run.Status.Final() != (run.Deadline == nil) || run.Status.Final() != (run.FinishedAt != nil) {
			t.Fatalf("run %+v", run)
		}
		if run.Status == Queued && id != j.RunID {
			t.Fatalf("run %s waits, the present one is %s", id, j.RunID)
		}
		if m.began[id] > 1 {
			t.Fatalf("run %s began %d times", id, m.began[id])
		}
		if n := m.fired[run.FiringID]; n > j.MaxAttempts {
			t.Fatalf("firing %s had %d runs", run.FiringID, n)
		}
	}
}

func TestJobRandomEventsKeepInvariants(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{now: noon(), job: once(), runs: map[string]*Run{}, began: map[string]int{}, fired: map[string]int{}}
		m.job.MaxAttempts = rapid.IntRange(1, 4).Draw(t, "attempts")
		t.Repeat(m.actions())
	})
}

// Without requests of clients a job ends, or waits for its cron, within its attempts, whatever is lost on the way.
func TestJobWithoutInterferenceEnds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{now: noon(), job: once(), runs: map[string]*Run{}, began: map[string]int{}, fired: map[string]int{}}
		m.job.MaxAttempts = rapid.IntRange(1, 4).Draw(t, "attempts")
		actions := m.actions()
		for range 3 * m.job.MaxAttempts {
			m.now = m.now.Add(maxOrderTimeout + maxBackoff)
			actions["the scheduler looks"](t)
			if rapid.Bool().Draw(t, "the order is lost") {
				m.now = m.now.Add(maxOrderTimeout)
				actions["the scheduler looks"](t)
			}
			change, err := m.job.start(m.runs[m.job.RunID], m.now, lease)
			m.apply(t, change, err)
			if rapid.Bool().Draw(t, "the worker answers") {
				m.apply(t, m.job.answer(m.runs[m.job.RunID], Outcome{Err: errors.New("no")}, m.now, 0), nil)
			}
			m.check(t)
		}
		if !m.job.Status.Final() {
			t.Fatalf("still %s", m.job.Status)
		}
	})
}
