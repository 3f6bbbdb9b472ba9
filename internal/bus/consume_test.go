package bus_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sluicehq/sluice/internal/bus"
)

func run(i int) bus.Message {
	return bus.Message{Subject: fmt.Sprintf("job.run.run_%d", i), ID: fmt.Sprintf("run_%d_1", i), Data: []byte(fmt.Sprint(i)), Time: time.Unix(int64(i), 5)}
}

// consume runs a consumer of the work queue until stop is called or the test ends; stop gives what Consume gave.
func consume(t *testing.T, b *bus.Bus, config bus.ConsumerConfig, handle bus.Handler) (stop func() error) {
	t.Helper()
	if config.Stream == "" {
		config.Stream, config.Durable = bus.Jobs, "runners"
	}
	if config.Backoff == nil {
		config.Backoff = func(int) time.Duration { return time.Millisecond }
	}
	ctx, cancel := context.WithCancel(context.Background())
	var result error
	var running sync.WaitGroup
	running.Go(func() { result = b.Consume(ctx, config, handle) })
	stop = func() error {
		cancel()
		running.Wait()
		return result
	}
	t.Cleanup(func() { _ = stop() })
	return stop
}

func failedMessage(t *testing.T, b *bus.Bus) {
	publish(t, b, run(7))
	seen := make(chan bus.Message, 10)
	stop := consume(t, b, bus.ConsumerConfig{}, func(_ context.Context, m bus.Message) error {
		seen <- m
		if m.Deliveries < 3 {
			return errors.New("not yet")
		}
		return nil
	})
	for try := 1; try <= 3; try++ {
		m := receive(t, "a try", seen)
		if m.Deliveries != try || m.Subject != "job.run.run_7" || m.ID != "run_7_1" || string(m.Data) != "7" || m.Sequence != 1 || !m.Time.Equal(time.Unix(7, 5)) {
			t.Errorf("try %d: %+v", try, m)
		}
	}
	queueEmpties(t, b)
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func queueEmpties(t *testing.T, b *bus.Bus) {
	t.Helper()
	eventually(t, "the queue to be empty", func() bool { return streamInfo(t, b, bus.Jobs).State.Msgs == 0 })
}

func givenUp(t *testing.T, b *bus.Bus) {
	publish(t, b, run(1))
	var tries atomic.Int32
	consume(t, b, bus.ConsumerConfig{MaxDeliver: 2}, func(context.Context, bus.Message) error {
		tries.Add(1)
		return errors.New("never")
	})
	queueEmpties(t, b)
	if n := tries.Load(); n != 2 {
		t.Errorf("%d tries, want 2", n)
	}
}

func workersShare(t *testing.T, b *bus.Bus) {
	const runs = 200
	var mu sync.Mutex
	times := map[string]int{}
	together := make(chan struct{}) // closed when 4 handlers are at work at once
	var atWork atomic.Int32
	handle := func(ctx context.Context, m bus.Message) error {
		if atWork.Add(1) == 4 {
			close(together)
		}
		select {
		case <-together:
		case <-ctx.Done():
			return ctx.Err()
		}
		mu.Lock()
		defer mu.Unlock()
		times[m.ID]++
		return nil
	}
	for range 2 { // as in two processes
		consume(t, b, bus.ConsumerConfig{Concurrency: 2}, handle)
	}
	for i := range runs {
		publish(t, b, run(i))
	}
	queueEmpties(t, b)
	mu.Lock()
	defer mu.Unlock()
	for i := range runs {
		if n := times[run(i).ID]; n != 1 {
			t.Errorf("run %d was handled %d times", i, n)
		}
	}
}

func inProgress(t *testing.T, b *bus.Bus) {
	publish(t, b, run(1))
	const wait = 2 * time.Second
	var tries atomic.Int32
	consume(t, b, bus.ConsumerConfig{AckWait: wait, Concurrency: 2}, func(_ context.Context, m bus.Message) error {
		tries.Add(1)
		for began := time.Now(); time.Since(began) < 3*wait; {
			if err := m.InProgress(); err != nil {
				return err
			}
			<-time.After(wait / 10) // the work
		}
		return nil
	})
	queueEmpties(t, b)
	if n := tries.Load(); n != 1 {
		t.Errorf("%d tries, want 1", n)
	}
}

func stopWaits(t *testing.T, b *bus.Bus) {
	publish(t, b, run(1))
	publish(t, b, run(2))
	began, finish := make(chan struct{}), make(chan struct{})
	var handled atomic.Int32
	stop := consume(t, b, bus.ConsumerConfig{Prefetch: 2}, func(ctx context.Context, _ bus.Message) error {
		close(began)
		<-finish
		handled.Add(1)
		return ctx.Err()
	})
	receive(t, "the handler to begin", began)
	stopped := make(chan error)
	go func() { stopped <- stop() }()
	select {
	case <-stopped:
		t.Fatal("stopped while a handler was at work")
	case <-time.After(50 * time.Millisecond): // there is no signal for what must not happen
	}
	close(finish)
	if err := receive(t, "the consumer to stop", stopped); err != nil {
		t.Error(err)
	}
	if n := handled.Load(); n != 1 {
		t.Errorf("%d were handled, want 1", n)
	}
	again := make(chan bus.Message, 1)
	consume(t, b, bus.ConsumerConfig{}, func(_ context.Context, m bus.Message) error { again <- m; return nil })
	if m := receive(t, "what was handed back", again); m.ID != run(2).ID {
		t.Errorf("got %s again", m.ID)
	}
}

func stopAbandons(t *testing.T, b *bus.Bus) {
	publish(t, b, run(1))
	began := make(chan struct{})
	stop := consume(t, b, bus.ConsumerConfig{StopTimeout: 10 * time.Millisecond}, func(ctx context.Context, _ bus.Message) error {
		close(began)
		<-ctx.Done()
		return ctx.Err()
	})
	receive(t, "the handler to begin", began)
	if err := stop(); err != nil {
		t.Error(err)
	}
	again := make(chan bus.Message, 1)
	consume(t, b, bus.ConsumerConfig{}, func(_ context.Context, m bus.Message) error { again <- m; return nil })
	if m := receive(t, "what was abandoned", again); m.Deliveries != 2 {
		t.Errorf("%d deliveries, want 2", m.Deliveries)
	}
}

func filtered(t *testing.T, b *bus.Bus) {
	publish(t, b, event("trip_1", "changed", "no"))
	publish(t, b, event("trip_2", "ended", "yes"))
	seen := make(chan bus.Message, 2)
	consume(t, b, bus.ConsumerConfig{Stream: bus.Events, Durable: "ends", Filter: "event.trip.ended.>"},
		func(_ context.Context, m bus.Message) error { seen <- m; return nil })
	if m := receive(t, "the event", seen); string(m.Data) != "yes" || m.Sequence != 2 {
		t.Errorf("got %+v", m)
	}
}

func closedUnder(t *testing.T, b *bus.Bus) {
	publish(t, b, run(1))
	began := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- b.Consume(context.Background(), bus.ConsumerConfig{Stream: bus.Jobs, Durable: "runners"},
			func(context.Context, bus.Message) error { close(began); return nil })
	}()
	receive(t, "the handler to begin", began)
	closeBus(t, b)
	if err := receive(t, "the consumer to end", ended); !errors.Is(err, nats.ErrConnectionClosed) {
		t.Errorf("got %v", err)
	}
}

func TestConsumeRefuses(t *testing.T) {
	t.Parallel()
	b := openEmbedded(t)
	for name, config := range map[string]bus.ConsumerConfig{
		"no stream":      {Durable: "x"},
		"an unknown one": {Stream: "NOWHERE", Durable: "x"},
		"no name":        {Stream: bus.Jobs},
		"a bad name":     {Stream: bus.Jobs, Durable: "a.b"},
		"a bad filter":   {Stream: bus.Jobs, Durable: "x", Filter: "job..run"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := b.Consume(t.Context(), config, nil); err == nil {
				t.Error("consumes")
			}
		})
	}
}
