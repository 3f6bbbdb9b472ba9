package job_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicehq/sluice/services/job"
)

func succeed(context.Context, job.Task) (string, error) { return `{"ok":true}`, nil }

func TestJobDueIsExecuted(t *testing.T) {
	t.Parallel()
	var task job.Task
	h := newEnv(t, func(_ context.Context, got job.Task) (string, error) { task = got; return `{"ok":true}`, nil })
	j := h.create(job.CreateInput{})
	order := h.scheduleOne()
	if got := h.get(j.ID); got.Status != job.Queued || got.NextRunAt != nil || got.Attempt != 1 {
		t.Errorf("queued: %+v", got)
	}
	h.handle(order)
	got := h.get(j.ID)
	if got.Status != job.Succeeded || got.Result != `{"ok":true}` || got.Error != "" || got.NextRunAt != nil {
		t.Errorf("done: %+v", got)
	}
	run := h.runsOf(j.ID)[0]
	if run.Status != job.Succeeded || run.StartedAt == nil || run.FinishedAt == nil || !run.DueAt.Equal(*j.NextRunAt) || run.Result != got.Result {
		t.Errorf("its run: %+v", run)
	}
	want := job.Task{JobID: j.ID, RunID: run.ID, FiringID: run.ID, Attempt: 1, Payload: "{}"}
	if task != want {
		t.Errorf("got %+v, want %+v", task, want)
	}
}

func TestJobNotDueIsNotEnqueued(t *testing.T) {
	t.Parallel()
	h := newEnv(t, succeed)
	at := h.clock.Now().Add(time.Minute)
	h.create(job.CreateInput{RunAt: &at})
	h.clock.Advance(time.Minute - time.Microsecond)
	if orders := h.schedule(); len(orders) != 0 {
		t.Fatalf("%d orders before the time", len(orders))
	}
	h.clock.Advance(time.Microsecond)
	h.scheduleOne()
	if orders := h.schedule(); len(orders) != 0 {
		t.Errorf("%d orders more", len(orders))
	}
}

func TestOrderRedeliveredIsNotExecutedAgain(t *testing.T) {
	t.Parallel()
	h := newEnv(t, succeed)
	j := h.create(job.CreateInput{})
	order := h.scheduleOne()
	h.handle(order)
	before := h.get(j.ID)
	h.handle(order)
	if got := h.get(j.ID); h.runs.Load() != 1 || got.Version != before.Version {
		t.Errorf("%d runs, version %d after %d", h.runs.Load(), got.Version, before.Version)
	}
	if err := h.service.Delete(h.staff(), j.ID, nil); err != nil {
		t.Fatal(err)
	}
	h.handle(order) // a deleted job is ignored too
	if n := h.runs.Load(); n != 1 {
		t.Errorf("%d runs", n)
	}
}

func TestRunFailedIsRetriedUntilLastAttempt(t *testing.T) {
	t.Parallel()
	h := newEnv(t, func(context.Context, job.Task) (string, error) { return "", errors.New("no luck") })
	j := h.create(job.CreateInput{MaxAttempts: 3})
	for attempt := 1; attempt <= 2; attempt++ {
		h.handle(h.scheduleOne())
		got := h.get(j.ID)
		if got.Status != job.Retrying || got.Attempt != attempt || got.Error != "no luck" {
			t.Fatalf("after attempt %d: %+v", attempt, got)
		}
		if orders := h.schedule(); len(orders) != 0 {
			t.Fatalf("attempt %d was followed at once", attempt)
		}
		h.clock.Advance(got.NextRunAt.Sub(h.clock.Now()))
	}
	h.handle(h.scheduleOne())
	if got := h.get(j.ID); got.Status != job.Failed || got.Attempt != 3 {
		t.Errorf("at the end: %+v", got)
	}
	runs := h.runsOf(j.ID)
	if len(runs) != 3 || runs[0].ID == runs[1].ID || runs[2].FiringID != runs[0].ID {
		t.Errorf("runs: %+v", runs)
	}
}

func TestRunTimeoutPassedFails(t *testing.T) {
	t.Parallel()
	h := newEnv(t, func(ctx context.Context, _ job.Task) (string, error) {
		<-ctx.Done()
		return "", ctx.Err()
	})
	j := h.create(job.CreateInput{TimeoutSeconds: 1, MaxAttempts: 2})
	h.handle(h.scheduleOne())
	if got := h.get(j.ID); got.Status != job.Retrying || got.Error != "the attempt took longer than 1s" {
		t.Errorf("got %+v", got)
	}
}

func TestKindPanicsFailsTheRun(t *testing.T) {
	t.Parallel()
	h := newEnv(t, func(context.Context, job.Task) (string, error) { panic("secret") })
	j := h.create(job.CreateInput{MaxAttempts: 1})
	h.handle(h.scheduleOne())
	if got := h.get(j.ID); got.Status != job.Failed || strings.Contains(got.Error, "secret") || got.Error == "" {
		t.Errorf("got %+v", got)
	}
}

func TestResultUnreadableFailsTheRun(t *testing.T) {
	t.Parallel()
	for _, result := range []string{"1e999999999", strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000), "{"} {
		h := newEnv(t, func(context.Context, job.Task) (string, error) { return result, nil })
		j := h.create(job.CreateInput{MaxAttempts: 3})
		h.handle(h.scheduleOne())
		if got := h.get(j.ID); got.Status != job.Failed || got.Result != "" || !strings.HasPrefix(got.Error, "the result: ") {
			t.Errorf("%.20s: got %+v", result, got)
		}
	}
}

// hold returns a kind whose runs signal their start and continue until they are released or their context ends.
func hold(began chan<- job.Task, let <-chan struct{}) kindFunc {
	return func(ctx context.Context, task job.Task) (string, error) {
		began <- task
		select {
		case <-let:
			return `{"late":true}`, nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

func TestResultAfterCancelStaysInItsRun(t *testing.T) {
	t.Parallel()
	began, let := make(chan job.Task, 1), make(chan struct{})
	h := newEnv(t, hold(began, let))
	j := h.create(job.CreateInput{})
	wait := h.begin(t.Context(), h.worker, h.scheduleOne())
	receive(t, "the run", began)
	if _, err := h.service.Cancel(h.staff(), j.ID, nil); err != nil {
		t.Fatal(err)
	}
	close(let)
	if err := wait(); err != nil {
		t.Fatal(err)
	}
	if got := h.get(j.ID); got.Status != job.Cancelled || got.Result != "" {
		t.Errorf("the job: %+v", got)
	}
	if run := h.runsOf(j.ID)[0]; run.Status != job.Cancelled || run.Result != `{"late":true}` || run.FinishedAt == nil {
		t.Errorf("its run: %+v", run)
	}
}

func TestRunCancelledHasItsContextCancelled(t *testing.T) {
	t.Parallel()
	began := make(chan job.Task, 1)
	h := newEnv(t, hold(began, nil))
	h.worker.BeatEvery(10 * time.Millisecond)
	j := h.create(job.CreateInput{})
	wait := h.begin(t.Context(), h.worker, h.scheduleOne())
	receive(t, "the run", began)
	if _, err := h.service.Cancel(h.staff(), j.ID, nil); err != nil {
		t.Fatal(err)
	}
	if err := wait(); err != nil {
		t.Fatal(err)
	}
	if run := h.runsOf(j.ID)[0]; run.Status != job.Cancelled || !strings.Contains(run.Error, "cancelled") {
		t.Errorf("its run: %+v", run)
	}
}

func TestWorkerHeartbeatsKeepLease(t *testing.T) {
	t.Parallel()
	began, let, beats := make(chan job.Task, 1), make(chan struct{}), make(chan struct{}, 100)
	h := newEnv(t, hold(began, let))
	h.worker.BeatEvery(10 * time.Millisecond)
	j := h.create(job.CreateInput{})
	order := h.scheduleOne()
	order.InProgress = func() error { beats <- struct{}{}; return nil }
	wait := h.begin(t.Context(), h.worker, order)
	receive(t, "the run", began)
	for range 3 {
		h.clock.Advance(29 * time.Second) // the lease is 30
		receive(t, "a beat that began before", beats)
		receive(t, "a beat after that", beats)
		receive(t, "the end of that", beats)
		if orders := h.schedule(); len(orders) != 0 {
			t.Fatal("the run was taken over")
		}
	}
	close(let)
	if err := wait(); err != nil {
		t.Fatal(err)
	}
	if got := h.get(j.ID); got.Status != job.Succeeded || h.runs.Load() != 1 {
		t.Errorf("%d runs, the job: %+v", h.runs.Load(), got)
	}
}

// dead is the store of a worker that has crashed: its writes after the start of a run are lost.
type dead struct {
	job.Leases
	changes atomic.Int32
}

func (d *dead) Change(ctx context.Context, jobID, runID string, rule job.Rule) (job.Job, error) {
	if d.changes.Add(1) > 1 {
		return job.Job{}, errors.New("the process is gone")
	}
	return d.Leases.Change(ctx, jobID, runID, rule)
}

func TestWorkerLostRunIsTakenOver(t *testing.T) {
	t.Parallel()
	began := make(chan job.Task, 2)
	h := newEnv(t, func(ctx context.Context, task job.Task) (string, error) {
		began <- task
		if task.Attempt == 1 {
			<-ctx.Done()
		}
		return "{}", ctx.Err()
	})
	lost := job.NewWorker(&dead{Leases: h.store}, h.clock, job.Kinds{"test": hold(began, nil)}, slog.New(slog.DiscardHandler), func() {})
	j := h.create(job.CreateInput{MaxAttempts: 2})
	order := h.scheduleOne()
	ctx, kill := context.WithCancel(t.Context())
	wait := h.begin(ctx, lost, order)
	first := receive(t, "the first attempt", began)
	kill()
	if err := wait(); err == nil {
		t.Fatal("the lost worker has answered")
	}
	h.handle(order) // redelivered: the lease has not expired, so the order is ignored
	if orders := h.schedule(); len(orders) != 0 || h.runs.Load() != 0 {
		t.Fatalf("%d orders and %d runs within the lease", len(orders), h.runs.Load())
	}
	h.clock.Advance(30 * time.Second)
	h.schedule() // recovers the lost run
	h.handle(h.scheduleOne())
	second := receive(t, "the second attempt", began)
	if second.Attempt != 2 || second.RunID == first.RunID || second.FiringID != first.RunID {
		t.Errorf("first %+v, second %+v", first, second)
	}
	if runs := h.runsOf(j.ID); runs[0].Status != job.Failed || runs[0].Error == "" {
		t.Errorf("the lost run: %+v", runs[0])
	}
}

func TestWorkerStoppedRunIsRetriedAtOnce(t *testing.T) {
	t.Parallel()
	began := make(chan job.Task, 1)
	h := newEnv(t, hold(began, nil))
	j := h.create(job.CreateInput{})
	ctx, stop := context.WithCancel(t.Context())
	wait := h.begin(ctx, h.worker, h.scheduleOne())
	receive(t, "the run", began)
	stop()
	if err := wait(); err != nil {
		t.Fatal(err)
	}
	if got := h.get(j.ID); got.Status != job.Retrying || !got.NextRunAt.Equal(h.clock.Now()) {
		t.Errorf("got %+v", got)
	}
	h.scheduleOne()
}

// flaky fails the changes that the test selects.
type flaky struct {
	job.Leases
	fail func(change int) bool
	n    int
}

func (f *flaky) Change(ctx context.Context, jobID, runID string, rule job.Rule) (job.Job, error) {
	if f.n++; f.fail(f.n) {
		return job.Job{}, errors.New("the store is away")
	}
	return f.Leases.Change(ctx, jobID, runID, rule)
}

func TestAnswerStoreUnavailableIsRetried(t *testing.T) {
	t.Parallel()
	h := newEnv(t, succeed)
	away := &flaky{Leases: h.store, fail: func(change int) bool { return change == 2 || change == 3 }}
	worker := job.NewWorker(away, h.clock, job.Kinds{"test": kindFunc(succeed)}, slog.New(slog.DiscardHandler), func() {})
	j := h.create(job.CreateInput{})
	if err := worker.Handle(t.Context(), h.scheduleOne()); err != nil {
		t.Fatal(err)
	}
	if got := h.get(j.ID); got.Status != job.Succeeded {
		t.Errorf("got %+v", got)
	}
}

func TestOrderStoreUnavailableIsRedelivered(t *testing.T) {
	t.Parallel()
	h := newEnv(t, succeed)
	away := &flaky{Leases: h.store, fail: func(int) bool { return true }}
	worker := job.NewWorker(away, h.clock, job.Kinds{"test": kindFunc(succeed)}, slog.New(slog.DiscardHandler), func() {})
	h.create(job.CreateInput{})
	if err := worker.Handle(t.Context(), h.scheduleOne()); err == nil {
		t.Error("the order is done")
	}
}
