package job

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
)

func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

func once() Job {
	at := noon()
	return Job{ID: "job_1", Status: Scheduled, Version: 1, Plan: Plan{RunAt: &at, TimeZone: "UTC"}, NextRunAt: &at, MaxAttempts: 3, Timeout: time.Second}
}

func repeating() Job {
	j := once()
	j.Plan = Plan{Cron: "0 * * * *", TimeZone: "UTC"}
	return j
}

// queued returns the job with a run that waits; started returns one whose run is running since noon.
func queued(t *testing.T, j Job) (Job, *Run) {
	t.Helper()
	change := j.enqueue(noon(), "run_1")
	if change.Job == nil {
		t.Fatal("the job is not due")
	}
	return *change.Job, &change.Runs[0]
}

func started(t *testing.T, j Job) (Job, *Run) {
	t.Helper()
	j, run := queued(t, j)
	change, err := j.start(run, noon(), lease)
	if err != nil {
		t.Fatal(err)
	}
	return *change.Job, &change.Runs[0]
}

func TestAnswerVariousOutcomesSetNextStatus(t *testing.T) {
	t.Parallel()
	failure := errors.New("the receiver answered 503")
	for name, test := range map[string]struct {
		job     Job
		attempt int
		err     error
		want    Status
		next    time.Duration // after noon; -1 for never
	}{
		"success ends it":                     {once(), 1, nil, Succeeded, -1},
		"a failure is tried again":            {once(), 1, failure, Retrying, time.Second},
		"later each time":                     {once(), 2, failure, Retrying, 2 * time.Second},
		"until the last attempt":              {once(), 3, failure, Failed, -1},
		"a permanent one is not":              {once(), 1, Permanent(failure), Failed, -1},
		"one that says when":                  {once(), 1, &Failure{Err: failure, After: time.Minute}, Retrying, time.Minute},
		"but not when it says too much":       {once(), 1, &Failure{Err: failure, After: time.Hour}, Retrying, maxBackoff},
		"a lost one at once":                  {once(), 1, errLost, Retrying, 0},
		"a lost last one fails":               {once(), 3, errLost, Failed, -1},
		"a stopped one at once":               {once(), 2, errStopped, Retrying, 0},
		"a cron goes on":                      {repeating(), 1, nil, Scheduled, time.Hour},
		"a cron that fails is tried":          {repeating(), 1, failure, Retrying, time.Second},
		"and goes on after the last":          {repeating(), 3, failure, Scheduled, time.Hour},
		"a cron goes on after a permanent":    {repeating(), 1, Permanent(failure), Scheduled, time.Hour},
		"a cron that never comes again ends":  {Job{Plan: Plan{Cron: "0 0 30 2 *", TimeZone: "UTC"}, Status: Scheduled, NextRunAt: once().NextRunAt, MaxAttempts: 1}, 1, nil, Succeeded, -1},
		"a cron whose zone has gone ends too": {Job{Plan: Plan{Cron: "* * * * *", TimeZone: "No/Where"}, Status: Scheduled, NextRunAt: once().NextRunAt, MaxAttempts: 1}, 1, nil, Succeeded, -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j, run := started(t, test.job)
			j.Attempt, run.Attempt = test.attempt, test.attempt
			change := j.answer(run, Outcome{Result: "{}", Err: test.err}, noon(), 0)
			got := *change.Job
			if got.Status != test.want || got.Version != j.Version+1 || got.Result != "{}" {
				t.Errorf("got %+v", got)
			}
			if test.next < 0 && got.NextRunAt != nil || test.next >= 0 && (got.NextRunAt == nil || !got.NextRunAt.Equal(noon().Add(test.next))) {
				t.Errorf("next at %v", got.NextRunAt)
			}
			ended := change.Runs[0]
			if (ended.Status == Succeeded) != (test.err == nil) || ended.FinishedAt == nil || ended.Deadline != nil || ended.Error != got.Error {
				t.Errorf("the run is %+v", ended)
			}
		})
	}
}

func TestCronClockBehindFiresOnce(t *testing.T) {
	t.Parallel()
	j, run := started(t, repeating())
	change := j.answer(run, Outcome{}, noon().Add(-time.Second), 0) // the worker's clock is behind
	if next := change.Job.NextRunAt; !next.Equal(noon().Add(time.Hour)) {
		t.Errorf("next at %v", next)
	}
}

func TestAnswerOfSupersededRunChangesOnlyThatRun(t *testing.T) {
	t.Parallel()
	j, run := started(t, once())
	cancelled, err := j.cancel(run, noon())
	if err != nil || cancelled.Job.Status != Cancelled || cancelled.Runs != nil {
		t.Fatalf("got %+v, %v", cancelled, err)
	}
	change := cancelled.Job.answer(run, Outcome{Result: `{"status":200}`}, noon(), 0)
	if change.Job != nil || change.Runs[0].Status != Cancelled || change.Runs[0].Result != `{"status":200}` {
		t.Errorf("got %+v", change)
	}
	ended := change.Runs[0]
	if again := cancelled.Job.answer(&ended, Outcome{Err: errLost}, noon(), 0); !reflect.DeepEqual(again, Change{}) {
		t.Errorf("a run that has ended was answered again: %+v", again)
	}
	retried, err := cancelled.Job.retry(noon())
	if err != nil {
		t.Fatal(err)
	}
	next := retried.Job.enqueue(noon(), "run_2")
	if change := next.Job.answer(run, Outcome{}, noon(), 0); change.Job != nil {
		t.Errorf("the run of before answered for the one of now: %+v", change.Job)
	}
}

func TestStartOnlyCurrentRunAndOnce(t *testing.T) {
	t.Parallel()
	j, run := queued(t, once())
	other := *run
	other.ID = "run_0"
	for name, test := range map[string]struct {
		job Job
		run *Run
	}{
		"no such run": {j, nil},
		"another run": {j, &other},
		"not queued":  {once(), run},
		"started already": func() (c struct {
			job Job
			run *Run
		}) {
			c.job, c.run = started(t, once())
			return c
		}(),
	} {
		if _, err := test.job.start(test.run, noon(), lease); !errors.Is(err, errNotToRun) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReplanNewTimeFiresOnceThen(t *testing.T) {
	t.Parallel()
	j, run := queued(t, once())
	at := noon().Add(time.Hour)
	change, err := j.replan(Plan{RunAt: &at, TimeZone: "UTC"}, run, noon())
	if err != nil {
		t.Fatal(err)
	}
	moved := *change.Job
	if moved.Status != Scheduled || !moved.NextRunAt.Equal(at) || change.Runs[0].Status != Cancelled {
		t.Errorf("got %+v", change)
	}
	if _, err := moved.start(&change.Runs[0], noon(), lease); !errors.Is(err, errNotToRun) {
		t.Errorf("the order of before still runs: %v", err)
	}
	if early := moved.enqueue(noon(), "run_2"); early.Job != nil {
		t.Errorf("it fired early: %+v", early)
	}
	if fired := moved.enqueue(at, "run_2"); fired.Job == nil || fired.Job.Attempt != 1 || fired.Job.FiringID != "run_2" {
		t.Errorf("got %+v", fired)
	}
}

func TestReplanVariousStatesChangesOrRefuses(t *testing.T) {
	t.Parallel()
	at := noon().Add(time.Hour)
	otherTime, cron := Plan{RunAt: &at, TimeZone: "UTC"}, Plan{Cron: "30 * * * *", TimeZone: "UTC"}
	in := func(status Status, j Job) Job { j.Status = status; return j }
	for name, test := range map[string]struct {
		job    Job
		plan   Plan
		reason string
		want   Status
	}{
		"while it waits":               {once(), otherTime, "", Scheduled},
		"between attempts":             {in(Retrying, repeating()), cron, "", Scheduled},
		"to a cron":                    {once(), cron, "", Scheduled},
		"from a cron":                  {repeating(), otherTime, "", Scheduled},
		"from a cron while it runs":    {in(Running, repeating()), otherTime, ReasonRunning, ""},
		"to a cron while it runs":      {in(Running, once()), cron, ReasonRunning, ""},
		"the time while it runs":       {in(Running, once()), otherTime, ReasonRunning, ""},
		"the cron while it runs":       {in(Running, repeating()), cron, "", Running},
		"after the end":                {in(Succeeded, once()), otherTime, ReasonFinished, ""},
		"after the end, of a cron":     {in(Cancelled, repeating()), cron, ReasonFinished, ""},
		"not, though, to the same":     {in(Running, once()), once().Plan, "", Running},
		"nor to the same when retried": {in(Retrying, repeating()), repeating().Plan, "", Retrying},
	} {
		change, err := test.job.replan(test.plan, nil, noon())
		if test.reason != "" {
			if e := errs.From(err); e == nil || e.Code != errs.FailedPrecondition || e.Reason != test.reason {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || change.Job.Status != test.want || !change.Job.same(test.plan) {
			t.Errorf("%s: %+v, %v", name, change.Job, err)
		}
	}
}

func TestPlanRevisedPartialUpdateKeepsTheRest(t *testing.T) {
	t.Parallel()
	at, text, empty, berlin := noon().Add(time.Hour), "30 * * * *", "", "Europe/Berlin"
	for name, test := range map[string]struct {
		plan           Plan
		runAt          *time.Time
		cron, timeZone *string
		want           Plan
		field          string
	}{
		"nothing":               {plan: once().Plan, want: once().Plan},
		"nothing of a cron":     {plan: repeating().Plan, want: repeating().Plan},
		"a time":                {plan: once().Plan, runAt: &at, want: Plan{RunAt: &at, TimeZone: "UTC"}},
		"a cron":                {plan: once().Plan, cron: &text, want: Plan{Cron: text, TimeZone: "UTC"}},
		"a zone":                {plan: repeating().Plan, timeZone: &berlin, want: Plan{Cron: "0 * * * *", TimeZone: berlin}},
		"no zone is UTC":        {plan: repeating().Plan, timeZone: &empty, want: repeating().Plan},
		"a time for a cron":     {plan: repeating().Plan, runAt: &at, cron: &empty, want: Plan{RunAt: &at, TimeZone: "UTC"}},
		"no cron where none is": {plan: once().Plan, cron: &empty, want: once().Plan},
		"both":                  {plan: once().Plan, runAt: &at, cron: &text, field: "runAt"},
		"a time beside a cron":  {plan: repeating().Plan, runAt: &at, field: "runAt"},
		"no cron, and no time":  {plan: repeating().Plan, cron: &empty, field: "runAt"},
	} {
		got, err := test.plan.revised(test.runAt, test.cron, test.timeZone)
		if test.field != "" {
			wantInvalid(t, err, test.field)
			continue
		}
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, test.want)
		}
	}
}

func TestOverdueVariousRunsAreRecovered(t *testing.T) {
	t.Parallel()
	t.Run("a lost order is given again, each time after twice as long", func(t *testing.T) {
		t.Parallel()
		j, run := queued(t, once())
		if change := j.overdue(run, noon().Add(orderTimeout-1)); !reflect.DeepEqual(change, Change{}) {
			t.Errorf("before its time: %+v", change)
		}
		for _, wait := range []time.Duration{1, 2, 4, 8, 16, 32, 64, 124, 184} { // minutes since noon
			change := j.overdue(run, noon().Add(wait*time.Minute))
			if change.Job != nil || change.Order == nil || change.Order.RunID != run.ID {
				t.Fatalf("after %d minutes, due at %v: %+v", wait, run.Deadline, change)
			}
			run = &change.Runs[0]
		}
	})
	t.Run("a lost worker's run is followed by the next attempt", func(t *testing.T) {
		t.Parallel()
		j, run := started(t, once())
		change := j.overdue(run, noon().Add(lease))
		if change.Runs[0].Status != Failed || change.Job.Status != Retrying || !change.Job.NextRunAt.Equal(noon().Add(lease)) {
			t.Fatalf("got %+v", change)
		}
		next := change.Job.enqueue(noon().Add(lease), "run_2")
		if next.Job.Attempt != 2 || next.Job.FiringID != "run_1" || next.Runs[0].FiringID != "run_1" {
			t.Errorf("got %+v", next.Job)
		}
	})
	t.Run("a run that its job has left is ended", func(t *testing.T) {
		t.Parallel()
		j, run := queued(t, once())
		j.RunID = "run_2"
		if change := j.overdue(run, noon().Add(time.Hour)); change.Job != nil || change.Order != nil || change.Runs[0].Status != Cancelled {
			t.Errorf("got %+v", change)
		}
	})
}

func TestCancelAndRetryVariousStatesChangeOrRefuse(t *testing.T) {
	t.Parallel()
	for status, want := range map[Status]struct{ cancel, retry string }{
		Scheduled: {"", ReasonNotFailed}, Queued: {"", ReasonNotFailed}, Running: {"", ReasonNotFailed}, Retrying: {"", ReasonNotFailed},
		Succeeded: {ReasonFinished, ReasonNotFailed}, Failed: {ReasonFinished, ""}, Cancelled: {"", ""},
	} {
		j := once()
		j.Status = status
		_, err := j.cancel(nil, noon())
		if got := reason(err); got != want.cancel {
			t.Errorf("cancel %s: %q", status, got)
		}
		change, err := j.retry(noon())
		if got := reason(err); got != want.retry {
			t.Errorf("retry %s: %q", status, got)
		}
		if err == nil && (change.Job.Status != Scheduled || !change.Job.due(noon())) {
			t.Errorf("retry %s: %+v", status, change.Job)
		}
	}
}

func reason(err error) string {
	if err == nil {
		return ""
	}
	return errs.From(err).Reason
}

func TestBackoffManyAttemptsDoublesUpToFiveMinutes(t *testing.T) {
	t.Parallel()
	for attempt, want := range map[int]time.Duration{
		1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 9: 256 * time.Second, 10: 5 * time.Minute, 20: 5 * time.Minute,
	} {
		if got := clock.Backoff(attempt, minBackoff, maxBackoff, 0); got != want {
			t.Errorf("attempt %d: %v, want %v", attempt, got, want)
		}
		if got := clock.Backoff(attempt, minBackoff, maxBackoff, 0.999999); got < want/2 || got >= want {
			t.Errorf("attempt %d with jitter: %v, want at least %v", attempt, got, want/2)
		}
	}
}

func TestErrorTextLongOrMultilineIsOneTruncatedLine(t *testing.T) {
	t.Parallel()
	if got := errorText(errors.New("a\nb\x00\xffc")); got != "a b \uFFFDc" {
		t.Errorf("got %q", got)
	}
	if got := []rune(errorText(errors.New(strings.Repeat("ü", 5000)))); len(got) != maxErrorLength {
		t.Errorf("%d runes", len(got))
	}
}
