package job

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
	"github.com/sluicehq/sluice/internal/errs"
)

// Delivery is an order that the queue hands out.
type Delivery struct {
	Order      Order
	InProgress func() error // tells the queue that the order is being worked on
}

// Queue hands out orders, each at least once, to all workers that share it.
type Queue interface {
	// Consume hands orders to handle, several at once, until ctx ends and those at work are done. An
	// order is done when handle gives nil; otherwise it comes again.
	Consume(ctx context.Context, handle func(ctx context.Context, d Delivery) error) error
}

// How a worker shows that it lives, and what it does when it cannot write.
const (
	lease         = 30 * time.Second // how long a run is left alone after the last sign of life
	heartbeat     = lease / 3
	answerPause   = 200 * time.Millisecond
	answerTimeout = 15 * time.Second
	stopTimeout   = 1500 * time.Millisecond // the same when the worker is being stopped
)

// Worker starts the runs that the queue orders, does their work and answers for them.
type Worker struct {
	store     Leases
	clock     clock.Clock
	kinds     Kinds
	logger    *slog.Logger
	wake      func()
	heartbeat time.Duration
}

// NewWorker makes a Worker; wake tells a Scheduler in this process that an attempt may be due.
func NewWorker(store Leases, clock clock.Clock, kinds Kinds, logger *slog.Logger, wake func()) *Worker {
	return &Worker{store: store, clock: clock, kinds: kinds, logger: logger, wake: wake, heartbeat: heartbeat}
}

// Run works until ctx ends; how many runs at once is up to the queue.
func (w *Worker) Run(ctx context.Context, queue Queue) error {
	err := queue.Consume(ctx, w.Handle)
	if err == nil || ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return fmt.Errorf("take orders: %w", err)
}

// Handle does what an order asks for, and returns nil when the answer is committed. An order of a run
// that has been answered, is at work elsewhere or was given up has nothing left to do.
func (w *Worker) Handle(ctx context.Context, d Delivery) error {
	j, err := w.start(ctx, d.Order)
	if errors.Is(err, errNotToRun) || isMissing(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("start run %s: %w", d.Order.RunID, err)
	}
	began := w.clock.Now()
	outcome := w.work(ctx, j, d)
	w.tell(ctx, j, outcome, w.clock.Now().Sub(began))
	return w.answer(ctx, d.Order, outcome)
}

func (w *Worker) start(ctx context.Context, order Order) (Job, error) {
	now := w.clock.Now()
	return w.store.Change(ctx, order.JobID, order.RunID, func(j Job, run *Run) (Change, error) {
		return j.start(run, now, lease)
	})
}

// work runs the job's kind until it is done, its time is up, or the run may no longer answer.
func (w *Worker) work(ctx context.Context, j Job, d Delivery) Outcome {
	kind, err := w.kinds.named(j.Kind)
	if err != nil {
		return Outcome{Err: Permanent(err)}
	}
	timeUp := fmt.Errorf("the attempt took longer than %v", j.Timeout)
	working, end := context.WithTimeoutCause(ctx, j.Timeout, timeUp)
	defer end()
	working, supersede := context.WithCancelCause(working)
	defer supersede(nil)
	var beating sync.WaitGroup
	beating.Go(func() { w.beat(working, d, supersede) })
	task := Task{JobID: j.ID, RunID: j.RunID, FiringID: j.FiringID, Attempt: j.Attempt, Payload: j.Payload}
	result, err := w.attempt(working, kind, task)
	cause := context.Cause(working)
	supersede(nil)
	beating.Wait()
	switch {
	case err == nil:
		return Outcome{Result: result}
	case ctx.Err() != nil:
		return Outcome{Err: errStopped}
	case cause != nil:
		return Outcome{Result: result, Err: cause}
	}
	return Outcome{Result: result, Err: err}
}

// attempt turns a panic of the kind into an error.
func (w *Worker) attempt(ctx context.Context, kind Kind, task Task) (result string, err error) {
	defer func() {
		if p := recover(); p != nil {
			w.logger.ErrorContext(ctx, "a job panicked", "job", task.JobID, "run", task.RunID, "panic", p, "stack", string(debug.Stack()))
			result, err = "", errors.New("something went wrong on our side")
		}
	}()
	return kind.Run(ctx, task)
}

// beat shows the queue and the store that the run is at work, until ctx ends. When the store says
// that the run may no longer answer, or cannot be told for so long that another may have taken over,
// the work ends.
func (w *Worker) beat(ctx context.Context, d Delivery, supersede context.CancelCauseFunc) {
	ticker := time.NewTicker(w.heartbeat)
	defer ticker.Stop()
	for misses := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := d.InProgress(); err != nil {
			w.logger.WarnContext(ctx, "the queue was not told that a run goes on", "run", d.Order.RunID, "error", err)
		}
		present, err := w.renew(ctx, d.Order)
		switch {
		case err == nil && !present:
			supersede(errSuperseded)
		case err == nil:
			misses = 0
		default:
			if misses++; misses*int(w.heartbeat) >= int(lease) {
				supersede(errSuperseded)
			}
		}
	}
}

func (w *Worker) renew(ctx context.Context, order Order) (bool, error) {
	ctx, end := context.WithTimeout(ctx, w.heartbeat)
	defer end()
	return w.store.Renew(ctx, order, w.clock.Now().Add(lease))
}

// answer writes the outcome down. It tries for a while, even when the worker is being stopped: what
// is not answered will be run again.
func (w *Worker) answer(ctx context.Context, order Order, outcome Outcome) error {
	timeout := answerTimeout
	if ctx.Err() != nil {
		timeout = stopTimeout
	}
	writing, end := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer end()
	jitter := rand.Float64()
	for {
		now := w.clock.Now()
		_, err := w.store.Change(writing, order.JobID, order.RunID, func(j Job, run *Run) (Change, error) {
			return j.answer(run, outcome, now, jitter), nil
		})
		if err == nil || isMissing(err) {
			w.wake()
			return nil
		}
		if !pause(writing, answerPause) {
			return fmt.Errorf("answer for run %s: %w", order.RunID, err)
		}
	}
}

func (w *Worker) tell(ctx context.Context, j Job, outcome Outcome, took time.Duration) {
	logger := w.logger.With("job", j.ID, "run", j.RunID, "kind", j.Kind, "attempt", j.Attempt, "took", took)
	if outcome.Err != nil {
		logger.WarnContext(ctx, "a run failed", "error", errorText(outcome.Err))
		return
	}
	logger.InfoContext(ctx, "a run succeeded")
}

// pause waits, and tells false when ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func isMissing(err error) bool {
	e, ok := errors.AsType[*errs.Error](err)
	return ok && e.Code == errs.NotFound
}
