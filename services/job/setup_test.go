package job_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/internal/sqldb/sqltest"
	"github.com/sluicehq/sluice/services/job"
	"github.com/sluicehq/sluice/services/job/store"
	"github.com/sluicehq/sluice/services/job/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// soon is the timeout of every wait in these tests.
const soon = 30 * time.Second

// kindFunc is a kind that accepts every payload and calls a function of the test.
type kindFunc func(ctx context.Context, task job.Task) (string, error)

func (kindFunc) Check(string) error { return nil }

func (f kindFunc) Run(ctx context.Context, task job.Task) (string, error) { return f(ctx, task) }

// env is the job service on a real store. The test controls the clock and the queue.
type env struct {
	t         *testing.T
	db        *sqldb.DB
	store     *store.Store
	clock     *clock.Manual
	service   *job.Service
	scheduler *job.Scheduler
	worker    *job.Worker
	runs      atomic.Int32 // the number of executions
}

func newEnv(t *testing.T, do kindFunc) *env {
	t.Helper()
	h := &env{t: t, db: sqltest.OpenSQLite(t, store.Migrations()), clock: clock.NewManual(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))}
	h.store = store.New(h.db, storetest.EncodeJob, storetest.EncodeOrder)
	kinds := job.Kinds{"test": kindFunc(func(ctx context.Context, task job.Task) (string, error) {
		h.runs.Add(1)
		return do(ctx, task)
	})}
	logger := slog.New(slog.DiscardHandler)
	h.scheduler = job.NewScheduler(h.store, h.clock, logger)
	h.service = job.New(h.store, h.clock, kinds, h.scheduler.Wake)
	h.worker = job.NewWorker(h.store, h.clock, kinds, logger, h.scheduler.Wake)
	return h
}

func (h *env) staff() context.Context {
	return caller.NewContext(h.t.Context(), caller.OfSystem())
}

func (h *env) create(in job.CreateInput) job.Job {
	h.t.Helper()
	in.Name, in.Kind, in.Payload = "a test", "test", "{}"
	j, err := h.service.Create(h.staff(), in)
	if err != nil {
		h.t.Fatal(err)
	}
	return j
}

func (h *env) get(id string) job.Job {
	h.t.Helper()
	jobs, err := h.service.Get(h.staff(), []string{id})
	if err != nil || len(jobs) != 1 {
		h.t.Fatalf("get %s: %v, %v", id, jobs, err)
	}
	return jobs[0]
}

// runsOf returns the runs of the job, oldest first.
func (h *env) runsOf(id string) []job.Run {
	h.t.Helper()
	pages, err := h.service.ListRuns(h.staff(), []string{id}, page.Request{First: 100})
	if err != nil {
		h.t.Fatal(err)
	}
	runs := pages[id].Items
	oldestFirst := make([]job.Run, len(runs))
	for i, run := range runs {
		oldestFirst[len(runs)-1-i] = run
	}
	return oldestFirst
}

// schedule runs one pass of the scheduler and returns its orders.
func (h *env) schedule() []job.Delivery {
	h.t.Helper()
	if err := h.scheduler.RunDue(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	events, err := h.db.PendingEvents(h.t.Context(), 1000)
	if err == nil {
		err = h.db.DropEvents(h.t.Context(), events)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	var orders []job.Delivery
	for _, event := range events {
		if jobID, ok := strings.CutPrefix(event.Subject, "job.run."); ok {
			orders = append(orders, delivery(job.Order{JobID: jobID, RunID: string(event.Data)}))
		}
	}
	return orders
}

func delivery(order job.Order) job.Delivery {
	return job.Delivery{Order: order, InProgress: func() error { return nil }}
}

// scheduleOne is schedule with exactly one order.
func (h *env) scheduleOne() job.Delivery {
	h.t.Helper()
	orders := h.schedule()
	if len(orders) != 1 {
		h.t.Fatalf("%d orders, want 1", len(orders))
	}
	return orders[0]
}

func (h *env) handle(d job.Delivery) {
	h.t.Helper()
	if err := h.worker.Handle(h.t.Context(), d); err != nil {
		h.t.Fatal(err)
	}
}

// begin handles the order in a goroutine. The returned function waits for it.
func (h *env) begin(ctx context.Context, worker *job.Worker, d job.Delivery) (wait func() error) {
	var handling sync.WaitGroup
	var err error
	handling.Go(func() { err = worker.Handle(ctx, d) })
	wait = func() error {
		handling.Wait()
		return err
	}
	h.t.Cleanup(func() { _ = wait() })
	return wait
}

func receive[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(soon):
		t.Fatalf("no sign of %s", what)
		panic("unreachable")
	}
}
