// Package worker runs background loops: relays, schedulers, consumers, retention. A Loop describes what to do and
// when. A Worker executes one Loop, one pass at a time, until Stop. A pass that fails or panics does not end the
// worker: it logs the first failure of a row, counts every failure in sluice_worker_failures_total, and retries after
// a backoff with jitter. Only an error marked Permanent ends it.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"github.com/sluicehq/sluice/internal/clock"
)

// Defaults of a Loop.
const (
	defaultInterval     = time.Second
	defaultMinBackoff   = 100 * time.Millisecond
	defaultMaxBackoff   = 5 * time.Second
	defaultDrainTimeout = 5 * time.Second
	minPause            = 5 * time.Millisecond // between two passes, so that due work that fails does not spin
)

// Loop describes a background loop. Name and Pass must be set.
type Loop struct {
	Name string // in logs and metrics

	// Pass does all due work. It must be idempotent, because it is retried.
	Pass func(ctx context.Context) error

	Interval time.Duration                                 // maximum pause between two passes; default 1 s
	NextDue  func(ctx context.Context) (*time.Time, error) // the next due time, nil for never; it shortens the pause
	Wakeup   <-chan struct{}                               // ends the pause early, but not a backoff

	MinBackoff time.Duration // after the first failure; default 100 ms
	MaxBackoff time.Duration // after failures in a row; default 5 s, or MinBackoff if longer

	// Drain runs once after the context of the loop has ended, within DrainTimeout (default 5 s), for work that
	// cannot wait for the next start.
	Drain        func(ctx context.Context) error
	DrainTimeout time.Duration

	continuous bool
}

// Continuous returns the Loop of a function that runs until its context ends. An earlier return is a failure, and
// restarts it after a backoff.
func Continuous(name string, run func(ctx context.Context) error) Loop {
	return Loop{Name: name, Pass: run, continuous: true}
}

// Permanent marks an error that ends the worker.
func Permanent(err error) error { return permanent{err} }

type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// Wakeup wakes a Loop. Calls before the next pass coalesce.
type Wakeup chan struct{}

// NewWakeup returns a Wakeup for one Loop.
func NewWakeup() Wakeup { return make(Wakeup, 1) }

// Wake ends the pause of the loop. It never blocks.
func (w Wakeup) Wake() {
	select {
	case w <- struct{}{}:
	default: // a wake-up is pending already
	}
}

// Options are shared by the workers of a process. The zero value logs nothing and counts nothing.
type Options struct {
	Logger  *slog.Logger
	Metrics *Metrics
	Clock   clock.Clock // default clock.System
}

// Worker executes a Loop. It is safe for concurrent use.
type Worker struct {
	loop    Loop
	options Options
	logger  *slog.Logger

	mu     sync.Mutex
	cancel context.CancelFunc // nil while the worker is stopped
	done   chan struct{}
	err    error // the permanent error that ended the loop
}

// New returns a Worker, which does nothing until Start or Run.
func New(loop Loop, options Options) *Worker {
	if options.Clock == nil {
		options.Clock = clock.System{}
	}
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	loop.Interval = orDefault(loop.Interval, defaultInterval)
	loop.MinBackoff = orDefault(loop.MinBackoff, defaultMinBackoff)
	loop.MaxBackoff = max(orDefault(loop.MaxBackoff, defaultMaxBackoff), loop.MinBackoff)
	loop.DrainTimeout = orDefault(loop.DrainTimeout, defaultDrainTimeout)
	return &Worker{loop: loop, options: options, logger: options.Logger.With("worker", loop.Name)}
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

// Start runs the loop in a goroutine until Stop is called or ctx ends. It has no effect on a running worker.
func (w *Worker) Start(ctx context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cancel != nil {
		return
	}
	ctx, w.cancel = context.WithCancel(ctx)
	done := make(chan struct{})
	w.done = done
	go func() {
		defer close(done)
		err := w.Run(ctx)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.err = err
	}()
}

// Stop ends the loop and waits for its end, with its drain, or until ctx ends. It returns the permanent error of the
// loop, if any. It is idempotent.
func (w *Worker) Stop(ctx context.Context) error {
	w.mu.Lock()
	cancel, done := w.cancel, w.done
	w.mu.Unlock()
	if cancel == nil {
		return nil
	}
	cancel()
	select {
	case <-done:
	case <-ctx.Done():
		return fmt.Errorf("stop worker %s: %w", w.loop.Name, ctx.Err())
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cancel = nil
	return w.err
}

// Run executes the loop until ctx ends, then drains it. It returns nil, or the permanent error.
func (w *Worker) Run(ctx context.Context) error {
	err := w.repeat(ctx)
	if w.loop.Drain == nil {
		return err
	}
	draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.loop.DrainTimeout)
	defer cancel()
	if drainErr := w.loop.Drain(draining); drainErr != nil {
		w.logger.Warn("the last pass of a stopping worker failed", "error", drainErr)
	}
	return err
}

// repeat runs passes with pauses and backoffs until ctx ends or an error is permanent.
func (w *Worker) repeat(ctx context.Context) error {
	failures := 0
	for ctx.Err() == nil {
		began := w.options.Clock.Now()
		err := w.pass(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if w.loop.continuous && w.options.Clock.Now().Sub(began) > w.loop.MaxBackoff {
			failures = 0 // it worked in between
		}
		if err == nil {
			w.reportRecovery(failures)
			failures = 0
			w.pause(ctx)
			continue
		}
		failures++
		w.reportFailure(failures, err)
		if _, ended := errors.AsType[permanent](err); ended {
			return fmt.Errorf("worker %s: %w", w.loop.Name, err)
		}
		_ = clock.Sleep(ctx, w.options.Clock, clock.Backoff(failures, w.loop.MinBackoff, w.loop.MaxBackoff, rand.Float64()))
	}
	return nil
}

// pass runs one pass. A panic, and the early return of a continuous part, are errors.
func (w *Worker) pass(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			w.logger.Error("a worker panicked", "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	if err = w.loop.Pass(ctx); err == nil && w.loop.continuous {
		err = errors.New("the part returned before it was stopped")
	}
	return err
}

func (w *Worker) reportFailure(failures int, err error) {
	w.options.Metrics.reportFailure(w.loop.Name)
	if failures == 1 {
		w.logger.Error("a worker failed and is retried", "error", err)
	}
}

func (w *Worker) reportRecovery(failures int) {
	w.options.Metrics.reportSuccess(w.loop.Name)
	if failures > 0 {
		w.logger.Info("a worker recovered", "failures", failures)
	}
}

// pause waits for the interval, the next due time or a wake-up, whichever is first.
func (w *Worker) pause(ctx context.Context) {
	delay := w.loop.Interval
	if w.loop.NextDue != nil {
		if next, err := w.loop.NextDue(ctx); err == nil && next != nil {
			delay = min(delay, max(next.Sub(w.options.Clock.Now()), minPause))
		}
	}
	timer := w.options.Clock.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.loop.Wakeup:
	case <-ctx.Done():
	}
}

// RunAll runs loops concurrently until ctx ends. A permanent error of one ends all and is returned.
func RunAll(ctx context.Context, options Options, loops ...Loop) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var running sync.WaitGroup
	var mu sync.Mutex
	var failures []error
	for _, loop := range loops {
		running.Go(func() {
			if err := New(loop, options).Run(ctx); err != nil {
				mu.Lock()
				failures = append(failures, err)
				mu.Unlock()
				cancel(err)
			}
		})
	}
	running.Wait()
	return errors.Join(failures...)
}
