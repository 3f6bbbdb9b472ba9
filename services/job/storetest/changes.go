package storetest

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/services/job"
)

func readsBack(t *testing.T, s Store) {
	once := create(t, s, newJob())
	repeating := newJob()
	repeating.Plan = job.Plan{Cron: "*/5 * * * *", TimeZone: "Europe/Berlin"}
	create(t, s, repeating)
	for _, want := range []job.Job{once, repeating} {
		if got := get(t, s, want.ID); !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
	runID := ids.New(ids.JobRun)
	queued := change(t, s, once.ID, queueRun(runID, noon()))
	if got := get(t, s, once.ID); !reflect.DeepEqual(got, queued) || got.NextRunAt != nil || got.RunID != runID {
		t.Errorf("got  %+v\nwant %+v", got, queued)
	}
}

func keyOnce(t *testing.T, s Store) {
	key := idempotency.Key{Caller: "account_a", Value: "k", Fingerprint: "f"}
	first, err := s.Create(t.Context(), key, newJob())
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.Create(t.Context(), key, newJob())
	if err != nil || !reflect.DeepEqual(again, first) {
		t.Errorf("got %+v, %v\nwant %+v", again, err, first)
	}
	if n := len(s.Events(t)); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
}

func missing(t *testing.T, s Store) {
	_, err := s.Change(t.Context(), ids.New(ids.Job), "", set(job.Cancelled))
	if e := errs.From(err); e == nil || e.Code != errs.NotFound {
		t.Errorf("got %v", err)
	}
	jobs, err := s.Get(t.Context(), []string{ids.New(ids.Job)}, "")
	if err != nil || len(jobs) != 0 {
		t.Errorf("got %v, %v", jobs, err)
	}
	if next, err := s.NextWake(t.Context()); err != nil || next != nil {
		t.Errorf("nothing is due at %v, %v", next, err)
	}
	j := create(t, s, newJob())
	_, err = s.Change(t.Context(), j.ID, ids.New(ids.JobRun), func(_ job.Job, run *job.Run) (job.Change, error) {
		if run != nil {
			t.Errorf("there is no such run: %+v", run)
		}
		return job.Change{}, nil
	})
	if err != nil {
		t.Error(err)
	}
}

func refusal(t *testing.T, s Store) {
	j := create(t, s, newJob())
	_, err := s.Change(t.Context(), j.ID, "", func(job.Job, *job.Run) (job.Change, error) { return job.Change{}, errRefused })
	if !errors.Is(err, errRefused) {
		t.Errorf("got %v", err)
	}
	if got := change(t, s, j.ID, func(job.Job, *job.Run) (job.Change, error) { return job.Change{}, nil }); !reflect.DeepEqual(got, j) {
		t.Errorf("got %+v, want %+v", got, j)
	}
	if n := len(s.Events(t)); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
}

func changeEmits(t *testing.T, s Store) {
	j := create(t, s, newJob())
	runID := ids.New(ids.JobRun)
	change(t, s, j.ID, queueRun(runID, noon()))
	want := []Event{
		{"event.job.changed." + j.ID, j.ID + " SCHEDULED"},
		{"event.job.changed." + j.ID, j.ID + " QUEUED"},
		{"job.run." + j.ID, runID},
	}
	if got := s.Events(t); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func changesAtOnce(t *testing.T, s Store) {
	j := create(t, s, newJob())
	const n = 32
	for _, err := range concurrently(t.Context(), n, func(ctx context.Context, _ int) error {
		_, err := s.Change(ctx, j.ID, "", set(job.Scheduled))
		return err
	}) {
		if err != nil {
			t.Error(err)
		}
	}
	if got := get(t, s, j.ID).Version; got != n+1 {
		t.Errorf("version %d, want %d", got, n+1)
	}
}

func oneVersionWins(t *testing.T, s Store) {
	j := create(t, s, newJob())
	won := 0
	for _, err := range concurrently(t.Context(), 16, func(ctx context.Context, _ int) error {
		_, err := s.Change(ctx, j.ID, "", func(j job.Job, run *job.Run) (job.Change, error) {
			if j.Version != 1 {
				return job.Change{}, errs.Conflict("job", 1, j.Version)
			}
			return set(job.Cancelled)(j, run)
		})
		return err
	}) {
		if err == nil {
			won++
		} else if errs.From(err).Reason != errs.ReasonVersionConflict {
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d have won, want 1", won)
	}
}

func dueOnce(t *testing.T, s Store) {
	var want []string
	for i := range 5 {
		j := newJob()
		j.NextRunAt = at(time.Duration(i-2) * time.Hour) // the last two are not due at noon
		if create(t, s, j); i < 3 {
			want = append(want, j.ID)
		}
	}
	cancelled := newJob()
	cancelled.Status, cancelled.NextRunAt = job.Cancelled, nil
	create(t, s, cancelled)
	var seen []string
	rule := func(j job.Job, run *job.Run) (job.Change, error) {
		seen = append(seen, j.ID)
		return queueRun(ids.New(ids.JobRun), noon())(j, run)
	}
	for _, count := range []int{2, 1, 0} {
		if n, err := s.ChangeDue(t.Context(), noon(), 2, rule); err != nil || n != count {
			t.Errorf("found %d, %v, want %d", n, err, count)
		}
	}
	if slices.Sort(want); !slices.Equal(slices.Sorted(slices.Values(seen)), want) {
		t.Errorf("got %v, want %v", seen, want)
	}
}

func schedulersAtOnce(t *testing.T, s Store) {
	const n = 50
	for range n {
		create(t, s, newJob())
	}
	for _, err := range concurrently(t.Context(), 8, func(ctx context.Context, _ int) error {
		for {
			found, err := s.ChangeDue(ctx, noon(), 7, func(j job.Job, run *job.Run) (job.Change, error) {
				return queueRun(ids.New(ids.JobRun), noon())(j, run)
			})
			if err != nil || found == 0 {
				return err
			}
		}
	}) {
		if err != nil {
			t.Error(err)
		}
	}
	orders := map[string]int{}
	for _, event := range s.Events(t) {
		if event.Subject[:4] == "job." {
			orders[event.Subject]++
		}
	}
	for subject, times := range orders {
		if times != 1 {
			t.Errorf("%s was ordered %d times", subject, times)
		}
	}
	if len(orders) != n {
		t.Errorf("%d jobs were ordered, want %d", len(orders), n)
	}
}

func startsOnce(t *testing.T, s Store) {
	j := create(t, s, newJob())
	runID := ids.New(ids.JobRun)
	change(t, s, j.ID, queueRun(runID, noon()))
	started := 0
	for _, err := range concurrently(t.Context(), 8, func(ctx context.Context, _ int) error {
		_, err := s.Change(ctx, j.ID, runID, startRun(noon().Add(time.Minute)))
		return err
	}) {
		if err == nil {
			started++
		} else if !errors.Is(err, errRefused) {
			t.Error(err)
		}
	}
	if started != 1 {
		t.Errorf("started %d times", started)
	}
}

func renew(t *testing.T, s Store) {
	j := create(t, s, newJob())
	run := job.Order{JobID: j.ID, RunID: ids.New(ids.JobRun)}
	expect := func(when string, want bool) {
		t.Helper()
		if present, err := s.Renew(t.Context(), run, noon().Add(time.Hour)); err != nil || present != want {
			t.Errorf("%s: %v, %v, want %v", when, present, err, want)
		}
	}
	expect("unknown", false)
	change(t, s, j.ID, queueRun(run.RunID, noon()))
	expect("queued", false)
	change(t, s, j.ID, startRun(noon().Add(time.Minute)))
	expect("at work", true)
	if next, err := s.NextWake(t.Context()); err != nil || next == nil || !next.Equal(noon().Add(time.Hour)) {
		t.Errorf("the deadline is %v, %v", next, err)
	}
	change(t, s, j.ID, set(job.Cancelled))
	expect("cancelled", false)
}

func nextWake(t *testing.T, s Store) {
	expect := func(want time.Time) {
		t.Helper()
		if next, err := s.NextWake(t.Context()); err != nil || next == nil || !next.Equal(want) {
			t.Errorf("got %v, %v, want %v", next, err, want)
		}
	}
	j := create(t, s, newJob())
	expect(noon())
	change(t, s, j.ID, queueRun(ids.New(ids.JobRun), noon()))
	expect(noon().Add(time.Minute))
	sooner := newJob()
	sooner.NextRunAt = at(time.Second)
	create(t, s, sooner)
	expect(*sooner.NextRunAt)
}

func overdue(t *testing.T, s Store) {
	var want []job.Order
	for i := range 3 {
		j := create(t, s, newJob())
		order := job.Order{JobID: j.ID, RunID: ids.New(ids.JobRun)}
		change(t, s, j.ID, queueRun(order.RunID, noon().Add(time.Duration(i)*time.Hour)))
		want = append(want, order)
	}
	got, err := s.Overdue(t.Context(), noon().Add(time.Hour+time.Minute), 10)
	if err != nil || !slices.Equal(got, want[:2]) {
		t.Errorf("got %v, %v, want %v", got, err, want[:2])
	}
	if got, err := s.Overdue(t.Context(), noon().Add(24*time.Hour), 1); err != nil || !slices.Equal(got, want[:1]) {
		t.Errorf("got %v, %v, want the oldest", got, err)
	}
	change(t, s, want[0].JobID, endRun)
	if got, err := s.Overdue(t.Context(), noon().Add(24*time.Hour), 10); err != nil || !slices.Equal(got, want[1:]) {
		t.Errorf("got %v, %v, want %v", got, err, want[1:])
	}
}

func deleted(t *testing.T, s Store) {
	j := create(t, s, newJob())
	change(t, s, j.ID, queueRun(ids.New(ids.JobRun), noon()))
	change(t, s, j.ID, func(j job.Job, _ *job.Run) (job.Change, error) { return job.Change{Job: &j, Delete: true}, nil })
	if jobs, err := s.Get(t.Context(), []string{j.ID}, ""); err != nil || len(jobs) != 0 {
		t.Errorf("got %v, %v", jobs, err)
	}
	if runs, err := s.ListRuns(t.Context(), []string{j.ID}, "", page.Request{}); err != nil || len(runs) != 0 {
		t.Errorf("got %v, %v", runs, err)
	}
	events := s.Events(t)
	if last := events[len(events)-1]; last.Subject != "event.job.deleted."+j.ID {
		t.Errorf("the last event is %v", last)
	}
}

func forgetsFinished(t *testing.T, s Store) {
	end := func(status job.Status, hours int) job.Job {
		j := create(t, s, newJob())
		change(t, s, j.ID, queueRun(ids.New(ids.JobRun), noon()))
		return change(t, s, j.ID, func(j job.Job, _ *job.Run) (job.Change, error) {
			j.Status, j.NextRunAt, j.Version, j.UpdatedAt = status, nil, j.Version+1, noon().Add(time.Duration(hours)*time.Hour)
			return job.Change{Job: &j}, nil
		})
	}
	old := []job.Job{end(job.Succeeded, 1), end(job.Failed, 2), end(job.Cancelled, 3)}
	left := []job.Job{end(job.Succeeded, 5), end(job.Running, 1), create(t, s, newJob())}
	for _, want := range []int64{2, 1, 0} {
		if n, err := s.DeleteFinished(t.Context(), noon().Add(4*time.Hour), 2); err != nil || n != want {
			t.Errorf("%d went, want %d; %v", n, want, err)
		}
	}
	var all []string
	for _, j := range append(old, left...) {
		all = append(all, j.ID)
	}
	if found, err := s.Get(t.Context(), all, ""); err != nil || len(found) != len(left) {
		t.Errorf("left are %v, %v", found, err)
	}
	runs, err := s.ListRuns(t.Context(), all, "", page.Request{})
	if err != nil || len(runs) != 2 {
		t.Errorf("left are the runs %v, %v", runs, err)
	}
	renewed := 0
	for _, e := range s.Events(t) {
		if strings.HasPrefix(e.Subject, "event.job.deleted.") {
			renewed++
		}
	}
	if renewed != len(old) {
		t.Errorf("%d are renewed to be gone", renewed)
	}
}
