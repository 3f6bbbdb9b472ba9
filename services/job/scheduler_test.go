package job_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/worker"
	"github.com/sluicehq/sluice/services/job"
)

func TestSchedulerOrderLostIsOrderedAgain(t *testing.T) {
	t.Parallel()
	h := newEnv(t, succeed)
	j := h.create(job.CreateInput{})
	lost := h.scheduleOne()
	h.clock.Advance(time.Minute)
	again := h.scheduleOne()
	if again.Order != lost.Order {
		t.Errorf("got %+v, want %+v", again.Order, lost.Order)
	}
	h.handle(again)
	h.handle(lost) // the order was only late
	if got := h.get(j.ID); got.Status != job.Succeeded || h.runs.Load() != 1 {
		t.Errorf("%d runs, the job: %+v", h.runs.Load(), got)
	}
}

func TestSchedulerCronMissedFiringsRunsOnce(t *testing.T) {
	t.Parallel()
	h := newEnv(t, succeed)
	j := h.create(job.CreateInput{Cron: "*/10 * * * *"})
	if want := h.clock.Now().Add(10 * time.Minute); !j.NextRunAt.Equal(want) {
		t.Errorf("first at %v, want %v", j.NextRunAt, want)
	}
	h.clock.Advance(55 * time.Minute)
	h.handle(h.scheduleOne())
	got := h.get(j.ID)
	if want := h.clock.Now().Add(5 * time.Minute); got.Status != job.Scheduled || !got.NextRunAt.Equal(want) || got.Result == "" {
		t.Errorf("got %+v, want the next at %v", got, want)
	}
	if orders := h.schedule(); len(orders) != 0 {
		t.Errorf("%d orders more", len(orders))
	}
}

func TestSchedulerJobRescheduledFiresOnceAtNewTime(t *testing.T) {
	t.Parallel()
	h := newEnv(t, succeed)
	j := h.create(job.CreateInput{})
	old := h.scheduleOne()
	at := h.clock.Now().Add(time.Hour)
	moved, err := h.service.Update(h.staff(), job.UpdateInput{ID: j.ID, RunAt: &at})
	if err != nil || moved.Status != job.Scheduled || !moved.NextRunAt.Equal(at) || moved.Name != j.Name {
		t.Fatalf("got %+v, %v", moved, err)
	}
	h.handle(old)
	if n := h.runs.Load(); n != 0 {
		t.Fatal("it ran at its old time")
	}
	h.clock.Advance(time.Hour)
	h.handle(h.scheduleOne())
	h.handle(old)
	if got := h.get(j.ID); got.Status != job.Succeeded || h.runs.Load() != 1 || got.Attempt != 1 {
		t.Errorf("%d runs, the job: %+v", h.runs.Load(), got)
	}
}

func TestRetryFailedJobStartsAtFirstAttempt(t *testing.T) {
	t.Parallel()
	fail := true
	h := newEnv(t, func(context.Context, job.Task) (string, error) {
		if fail {
			return "", job.Permanent(errors.New("gone"))
		}
		return "{}", nil
	})
	j := h.create(job.CreateInput{})
	h.handle(h.scheduleOne())
	if got := h.get(j.ID); got.Status != job.Failed {
		t.Fatalf("got %+v", got)
	}
	fail = false
	if _, err := h.service.Retry(h.staff(), j.ID, nil); err != nil {
		t.Fatal(err)
	}
	h.handle(h.scheduleOne())
	if got := h.get(j.ID); got.Status != job.Succeeded || got.Attempt != 1 || got.Error != "" {
		t.Errorf("got %+v", got)
	}
	runs := h.runsOf(j.ID)
	if len(runs) != 2 || runs[1].FiringID != runs[1].ID {
		t.Errorf("runs: %+v", runs)
	}
}

func TestSchedulersConcurrentOrderEachJobOnce(t *testing.T) {
	t.Parallel()
	h := newEnv(t, succeed)
	for range 100 {
		h.create(job.CreateInput{})
	}
	var looking sync.WaitGroup
	for range 4 {
		looking.Go(func() {
			other := job.NewScheduler(h.store, h.clock, slog.New(slog.DiscardHandler))
			if err := other.RunDue(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	looking.Wait()
	if orders := h.schedule(); len(orders) != 100 {
		t.Errorf("%d orders, want 100", len(orders))
	}
}

// reported signals each query for due jobs.
type reported struct {
	job.Timetable
	looks chan struct{}
	fail  func() bool
}

func (r reported) ChangeDue(ctx context.Context, now time.Time, limit int, rule job.Rule) (int, error) {
	n, err := r.Timetable.ChangeDue(ctx, now, limit, rule)
	if r.fail() {
		err = errors.New("the store is away")
	}
	r.looks <- struct{}{}
	return n, err
}

// The scheduler uses the system clock here. It runs a pass at its start, when it is woken, and when a job is due,
// also after the store was unavailable.
func TestSchedulerLoopWokenOrDueRunsUntilStopped(t *testing.T) {
	t.Parallel()
	h := newEnv(t, succeed)
	looks := make(chan struct{}, 1000)
	failures := 2
	scheduler := job.NewScheduler(reported{h.store, looks, func() bool { failures--; return failures >= 0 }}, clock.System{}, slog.New(slog.DiscardHandler))
	w := worker.New(scheduler.Loop(), worker.Options{})
	w.Start(t.Context())
	receive(t, "the first look", looks)
	h.service = job.New(h.store, clock.System{}, job.Kinds{"test": kindFunc(succeed)}, scheduler.Wake)
	at := time.Now().Add(50 * time.Millisecond)
	j := h.create(job.CreateInput{RunAt: &at})
	for h.get(j.ID).Status != job.Queued {
		receive(t, "another look", looks)
	}
	if err := w.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if run := h.runsOf(j.ID)[0]; run.QueuedAt.Before(at.Truncate(time.Microsecond)) {
		t.Errorf("queued at %v, before %v", run.QueuedAt, at)
	}
}

// An object that did not change keeps its version, and no event is published.
func TestUpdateWithoutAChangeKeepsVersion(t *testing.T) {
	t.Parallel()
	h := newEnv(t, func(context.Context, job.Task) (string, error) { return "", nil })
	at := h.clock.Now().Add(time.Hour)
	once := h.create(job.CreateInput{RunAt: &at})
	daily := h.create(job.CreateInput{Cron: "0 8 * * *", TimeZone: "Europe/Berlin"})
	events, err := h.db.PendingEvents(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	text := func(s string) *string { return &s }
	attempts, seconds := once.MaxAttempts, int(once.Timeout/time.Second)
	for _, in := range []job.UpdateInput{
		{ID: once.ID},
		{ID: once.ID, Name: &once.Name, Description: text(""), Payload: &once.Payload, RunAt: &at, Cron: text(""), TimeZone: text("UTC"), MaxAttempts: &attempts, TimeoutSeconds: &seconds, DeviceID: text("")},
		{ID: daily.ID, Cron: text("0 8 * * *"), TimeZone: text("Europe/Berlin")},
	} {
		before := h.get(in.ID)
		after, err := h.service.Update(h.staff(), in)
		if err != nil || h.get(in.ID).Version != 1 || after.Version != 1 || !after.UpdatedAt.Equal(before.UpdatedAt) {
			t.Errorf("%+v: %+v %v, want %+v", in, after, err, before)
		}
	}
	if now, err := h.db.PendingEvents(t.Context(), 100); err != nil || len(now) != len(events) {
		t.Errorf("%d events were published, %v", len(now)-len(events), err)
	}
	for _, in := range []job.UpdateInput{{ID: once.ID, Name: text("another")}, {ID: daily.ID, TimeZone: text("Europe/Paris")}} {
		if after, err := h.service.Update(h.staff(), in); err != nil || after.Version != 2 {
			t.Errorf("%+v: version %d %v", in, after.Version, err)
		}
	}
}
