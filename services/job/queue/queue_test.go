package queue_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/internal/bus"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/seal"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/internal/worker"
	"github.com/sluicehq/sluice/services/job"
	"github.com/sluicehq/sluice/services/job/queue"
	"github.com/sluicehq/sluice/services/job/rpc"
	"github.com/sluicehq/sluice/services/job/store"
	"github.com/sluicehq/sluice/services/job/webhook"
)

func TestMain(m *testing.M) {
	if folder := os.Getenv(childFolder); folder != "" {
		runUntilKilled(folder)
	}
	goleak.VerifyTestMain(m)
}

// soon is the timeout of every wait in these tests.
const soon = 30 * time.Second

// part is one process of the job service, with real components.
type part struct {
	db      *sqldb.DB
	bus     *bus.Bus
	store   *store.Store
	service *job.Service
	loops   []worker.Loop
}

// openPart opens the data of the folder. The clock work times the runs.
func openPart(ctx context.Context, folder string, work clock.Clock) (*part, error) {
	logger := slog.New(slog.DiscardHandler)
	keys, err := seal.Load(filepath.Join(folder, "sealing.key"))
	if err != nil {
		return nil, err
	}
	db, err := sqldb.Open(ctx, "sqlite:"+filepath.Join(folder, "job.db"), sqldb.WithKeys(keys))
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx, store.Migrations()); err != nil {
		return nil, err
	}
	b, err := bus.Open(ctx, bus.Options{StoreDir: filepath.Join(folder, "bus"), EventsMaxBytes: 16 << 20})
	if err != nil {
		return nil, err
	}
	p := &part{db: db, bus: b, store: store.New(db, rpc.EncodeJob, rpc.EncodeOrder)}
	kinds := job.Kinds{"webhook": webhook.New(webhook.Options{AllowPrivate: true})}
	scheduler := job.NewScheduler(p.store, work, logger)
	p.service = job.New(p.store, clock.System{}, kinds, scheduler.Wake)
	jobs := job.NewWorker(p.store, work, kinds, logger, scheduler.Wake)
	orders := queue.New(b, rpc.DecodeOrder, logger, queue.Options{Concurrency: 4, StopTimeout: time.Second})
	relay := bus.NewRelay(b, db, bus.RelayOptions{Service: "job"})
	p.loops = []worker.Loop{scheduler.Loop(), jobs.Loop(orders), relay.Loop()}
	return p, nil
}

// run runs the loops of the part until stop is called, which returns their error.
func (p *part) run() (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	var err error
	running.Go(func() { err = worker.RunAll(ctx, worker.Options{}, p.loops...) })
	return func() error {
		cancel()
		running.Wait()
		return err
	}
}

func (p *part) close(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	if err := p.bus.Close(ctx); err != nil {
		t.Error(err)
	}
	if err := p.db.Close(); err != nil {
		t.Error(err)
	}
}

// start opens a part and runs it until stop is called or the test ends.
func start(t *testing.T, folder string, work clock.Clock) (p *part, stop func()) {
	t.Helper()
	p, err := openPart(t.Context(), folder, work)
	if err != nil {
		t.Fatal(err)
	}
	halt := p.run()
	stop = sync.OnceFunc(func() {
		if err := halt(); err != nil {
			t.Error(err)
		}
		p.close(t)
	})
	t.Cleanup(stop)
	return p, stop
}

func (p *part) create(ctx context.Context, in job.CreateInput, url string) (job.Job, error) {
	in.Name, in.Kind, in.Payload = "a webhook", "webhook", `{"url": "`+url+`", "body": {"n": 1}}`
	return p.service.Create(caller.NewContext(ctx, caller.OfSystem()), in)
}

// until waits until the job is in the status.
func (p *part) until(t *testing.T, id string, want job.Status) job.Job {
	t.Helper()
	deadline := time.After(soon)
	for {
		jobs, err := p.store.Get(t.Context(), []string{id}, "")
		if err != nil || len(jobs) != 1 {
			t.Fatalf("got %v, %v", jobs, err)
		}
		if jobs[0].Status == want {
			return jobs[0]
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-deadline:
			t.Fatalf("the job is %+v, not %s", jobs[0], want)
		}
	}
}

// queueEmpties waits until every order is acknowledged, which an order that always fails never is.
func (p *part) queueEmpties(t *testing.T) {
	t.Helper()
	deadline := time.After(soon)
	for {
		stream, err := p.bus.JetStream().Stream(t.Context(), bus.Jobs)
		if err != nil {
			t.Fatal(err)
		}
		if stream.CachedInfo().State.Msgs == 0 {
			return
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-deadline:
			t.Fatalf("%d orders are left", stream.CachedInfo().State.Msgs)
		}
	}
}

// receiver reports each webhook by its run and firing, and responds with the function of the test.
func receiver(t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request)) (url string, runs chan [2]string) {
	t.Helper()
	runs = make(chan [2]string, 1000)
	var mu sync.Mutex
	n := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		mu.Lock()
		n++
		nth := n
		mu.Unlock()
		runs <- [2]string{r.Header.Get("Sluice-Run-Id"), r.Header.Get("Idempotency-Key")}
		answer(nth, w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL, runs
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

func TestQueueManyJobsExecutesEachOnce(t *testing.T) {
	t.Parallel()
	url, runs := receiver(t, func(_ int, w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	p, stop := start(t, t.TempDir(), clock.System{})
	const n = 40
	var jobs []job.Job
	for range n {
		j, err := p.create(t.Context(), job.CreateInput{}, url)
		if err != nil {
			t.Fatal(err)
		}
		jobs = append(jobs, j)
	}
	seen := map[string]bool{}
	for _, j := range jobs {
		done := p.until(t, j.ID, job.Succeeded)
		if done.Result != `{"status":200,"body":"ok"}` || seen[done.RunID] {
			t.Errorf("got %+v", done)
		}
		seen[done.RunID] = true
	}
	stop()
	if len(runs) != n {
		t.Errorf("%d webhooks, want %d", len(runs), n)
	}
}

func TestWebhookFailedIsRetriedWithTheSameIdempotencyKey(t *testing.T) {
	t.Parallel()
	url, runs := receiver(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	p, _ := start(t, t.TempDir(), clock.System{})
	j, err := p.create(t.Context(), job.CreateInput{}, url)
	if err != nil {
		t.Fatal(err)
	}
	first, second := receive(t, "the first attempt", runs), receive(t, "the second", runs)
	if first[0] == second[0] || first[1] != first[0] || second[1] != first[0] {
		t.Errorf("runs and keys %v, %v", first, second)
	}
	if done := p.until(t, j.ID, job.Succeeded); done.Attempt != 2 {
		t.Errorf("got %+v", done)
	}
}

func TestOrderRedeliveredAfterAnswerIsNotExecuted(t *testing.T) {
	t.Parallel()
	url, runs := receiver(t, func(int, http.ResponseWriter, *http.Request) {})
	p, stop := start(t, t.TempDir(), clock.System{})
	j, err := p.create(t.Context(), job.CreateInput{}, url)
	if err != nil {
		t.Fatal(err)
	}
	done := p.until(t, j.ID, job.Succeeded)
	data, err := rpc.EncodeOrder(job.Order{JobID: j.ID, RunID: done.RunID})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []bus.Message{{Subject: "job.run." + j.ID, Data: data}, {Subject: "job.run.broken", Data: []byte("\xff")}} {
		if err := p.bus.Publish(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	p.queueEmpties(t)
	stop()
	if len(runs) != 1 {
		t.Errorf("%d webhooks, want 1", len(runs))
	}
}

// The broker's store is lost after it has received the order. The run is executed nevertheless.
func TestQueueWipedLosesNoJob(t *testing.T) {
	t.Parallel()
	url, runs := receiver(t, func(int, http.ResponseWriter, *http.Request) {})
	folder := t.TempDir()
	p, err := openPart(t.Context(), folder, clock.System{})
	if err != nil {
		t.Fatal(err)
	}
	j, err := p.create(t.Context(), job.CreateInput{}, url)
	if err != nil {
		t.Fatal(err)
	}
	scheduler := job.NewScheduler(p.store, clock.System{}, slog.New(slog.DiscardHandler))
	if err := scheduler.RunDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	events, err := p.db.PendingEvents(t.Context(), 10)
	if err == nil {
		err = p.db.DropEvents(t.Context(), events)
	}
	if err != nil || len(events) != 3 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	p.close(t)
	if err := os.RemoveAll(filepath.Join(folder, "bus")); err != nil {
		t.Fatal(err)
	}
	p, _ = start(t, folder, clock.NewManual(time.Now().Add(2*time.Minute)))
	p.until(t, j.ID, job.Succeeded)
	receive(t, "the webhook", runs)
}

func TestWorkerStoppedDuringWebhookRetriesIt(t *testing.T) {
	t.Parallel()
	url, runs := receiver(t, func(n int, _ http.ResponseWriter, r *http.Request) {
		if n == 1 {
			<-r.Context().Done() // hangs until the worker cancels the request
		}
	})
	folder := t.TempDir()
	p, stop := start(t, folder, clock.System{})
	j, err := p.create(t.Context(), job.CreateInput{MaxAttempts: 2}, url)
	if err != nil {
		t.Fatal(err)
	}
	receive(t, "the first attempt", runs)
	stop()
	p, _ = start(t, folder, clock.System{})
	receive(t, "the second attempt", runs)
	if done := p.until(t, j.ID, job.Succeeded); done.Attempt != 2 {
		t.Errorf("got %+v", done)
	}
}

func TestWorkerBusClosedEndsWithError(t *testing.T) {
	t.Parallel()
	p, err := openPart(t.Context(), t.TempDir(), clock.System{})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- worker.RunAll(context.Background(), worker.Options{}, p.loops[:2]...) }()
	if _, err := p.store.Create(t.Context(), idempotency.Key{}, job.Job{ID: "job_1", Status: job.Cancelled}); err != nil {
		t.Fatal(err)
	}
	p.close(t)
	if err := receive(t, "the end", ended); err == nil {
		t.Error("the loops ended without an error")
	}
}
