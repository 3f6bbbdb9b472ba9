package worker_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/internal/worker"
)

var errAway = errors.New("the store is away")

// passes records when a loop ran, in time since its start.
type passes struct {
	started time.Time
	at      []time.Duration
}

func newPasses() *passes { return &passes{started: time.Now()} }

func (p *passes) record() int {
	p.at = append(p.at, time.Since(p.started).Round(time.Millisecond))
	return len(p.at)
}

func start(t *testing.T, loop worker.Loop, options worker.Options) *worker.Worker {
	t.Helper()
	w := worker.New(loop, options)
	w.Start(t.Context())
	return w
}

func stop(t *testing.T, w *worker.Worker) {
	t.Helper()
	if err := w.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestWorkerPassSucceedsRepeatsAfterInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPasses()
		w := start(t, worker.Loop{Name: "loop", Interval: time.Minute, Pass: func(context.Context) error { p.record(); return nil }}, worker.Options{})
		w.Start(t.Context()) // it runs already
		time.Sleep(150 * time.Second)
		stop(t, w)
		stop(t, w)
		if !slices.Equal(p.at, []time.Duration{0, time.Minute, 2 * time.Minute}) {
			t.Errorf("passes at %v", p.at)
		}
		w.Start(t.Context())
		synctest.Wait()
		stop(t, w)
		if len(p.at) != 4 {
			t.Errorf("%d passes after a second start, want 4", len(p.at))
		}
	})
}

func TestWorkerWokenTwiceDuringPassRunsOneMorePass(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, wakeup := newPasses(), worker.NewWakeup()
		w := start(t, worker.Loop{Name: "loop", Interval: time.Hour, Wakeup: wakeup, Pass: func(context.Context) error {
			if p.record() == 2 {
				wakeup.Wake()
				wakeup.Wake()
			}
			return nil
		}}, worker.Options{})
		time.Sleep(time.Second)
		wakeup.Wake()
		time.Sleep(time.Minute)
		stop(t, w)
		if !slices.Equal(p.at, []time.Duration{0, time.Second, time.Second}) {
			t.Errorf("passes at %v", p.at)
		}
	})
}

func TestWorkerNextDueBeforeIntervalShortensPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPasses()
		due := p.started.Add(3 * time.Second)
		w := start(t, worker.Loop{
			Name: "loop", Interval: time.Minute, Pass: func(context.Context) error { p.record(); return nil },
			NextDue: func(context.Context) (*time.Time, error) {
				if time.Now().Before(due) {
					return &due, nil
				}
				return nil, nil
			},
		}, worker.Options{})
		time.Sleep(10 * time.Second)
		stop(t, w)
		if !slices.Equal(p.at, []time.Duration{0, 3 * time.Second}) {
			t.Errorf("passes at %v", p.at)
		}
	})
}

func TestWorkerPassFailsOrPanicsIsRetriedAndCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewPedanticRegistry()
		metrics, err := worker.NewMetrics(registry)
		if err != nil {
			t.Fatal(err)
		}
		p, wakeup := newPasses(), worker.NewWakeup()
		w := start(t, worker.Loop{Name: "loop", Interval: time.Hour, Wakeup: wakeup, MinBackoff: time.Second, MaxBackoff: 2 * time.Second,
			Pass: func(context.Context) error {
				switch n := p.record(); {
				case n == 1:
					wakeup.Wake() // does not shorten the backoff
					return errAway
				case n == 2:
					panic("out of range")
				case n < 5:
					return errAway
				}
				return nil
			}}, worker.Options{Metrics: metrics})
		time.Sleep(time.Minute)
		stop(t, w)
		if len(p.at) != 5 && len(p.at) != 6 {
			t.Fatalf("passes at %v", p.at)
		}
		for i, most := range []time.Duration{time.Second, 2 * time.Second, 2 * time.Second, 2 * time.Second} {
			if pause := p.at[i+1] - p.at[i]; pause < most/2 || pause > most {
				t.Errorf("the pause after failure %d is %v, want %v to %v", i+1, pause, most/2, most)
			}
		}
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		if len(families) != 2 {
			t.Errorf("%d metrics, want 2", len(families))
		}
		for _, family := range families {
			metric := family.GetMetric()[0]
			if metric.GetCounter() != nil && metric.GetCounter().GetValue() != 4 || metric.GetGauge() != nil && metric.GetGauge().GetValue() != 0 {
				t.Errorf("%s: %v", family.GetName(), metric)
			}
		}
	})
}

func TestContinuousPartReturnsEarlyIsRestarted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPasses()
		w := start(t, worker.Continuous("consumer", func(ctx context.Context) error {
			if p.record() > 2 {
				<-ctx.Done()
			}
			return ctx.Err()
		}), worker.Options{})
		time.Sleep(time.Minute)
		stop(t, w)
		if len(p.at) != 3 || p.at[2] > time.Second {
			t.Errorf("runs at %v, want 3 within a second", p.at)
		}
	})
}

func TestWorkerStoppedWaitsForPassAndDrains(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var ended, drained bool
		w := start(t, worker.Loop{
			Name: "loop",
			Pass: func(ctx context.Context) error {
				<-ctx.Done()
				time.Sleep(time.Second)
				ended = true
				return nil
			},
			Drain: func(ctx context.Context) error {
				drained = ctx.Err() == nil
				return errAway
			},
		}, worker.Options{})
		synctest.Wait()
		short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := w.Stop(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a stop without enough time: %v", err)
		}
		stop(t, w)
		if !ended || !drained {
			t.Errorf("pass ended: %v, drained: %v", ended, drained)
		}
	})
}

func TestRunAllPermanentErrorEndsTheOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		err := worker.RunAll(t.Context(), worker.Options{},
			worker.Continuous("closed", func(context.Context) error { return worker.Permanent(errAway) }),
			worker.Continuous("consumer", func(ctx context.Context) error { <-ctx.Done(); return nil }))
		if !errors.Is(err, errAway) {
			t.Errorf("error %v", err)
		}
	})
}
