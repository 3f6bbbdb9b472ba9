package job

import (
	"cmp"
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
	"github.com/sluicehq/sluice/internal/input"
	"github.com/sluicehq/sluice/internal/worker"
)

// Delivery is an order that the queue delivers.
type Delivery struct {
	Order      Order
	InProgress func() error // extends the time after which the queue redelivers the order
}

// Queue delivers orders, each at least once, to all workers that share it.
type Queue interface {
	// Consume delivers orders to handle, concurrently, until ctx ends and the running handlers have returned. It
	// acknowledges an order when handle returns nil, and redelivers it otherwise.
	Consume(ctx context.Context, handle func(ctx context.Context, d Delivery) error) error
}

// Times of leases and answers.
const (
	lease         = 30 * time.Second // how long a run belongs to its worker after the last heartbeat
	heartbeat     = lease / 3
	answerPause   = 200 * time.Millisecond // between two attempts to write an answer
	answerTimeout = 15 * time.Second
	stopTimeout   = 1500 * time.Millisecond // instead of answerTimeout while the worker is being stopped
)

// Worker starts the runs that the queue orders, executes their kind and writes their answers.
type Worker struct {
	store     Leases
	clock     clock.Clock
	kinds     Kinds
	logger    *slog.Logger
	wake      func()
	heartbeat time.Duration
}

// NewWorker returns a Worker. It calls wake after each answer, because a next attempt may be due.
func NewWorker(store Leases, clock clock.Clock, kinds Kinds, logger *slog.Logger, wake func()) *Worker {
	return &Worker{store: store, clock: clock, kinds: kinds, logger: logger, wake: wake, heartbeat: heartbeat}
}

// Loop describes the background loop that consumes the queue. The queue limits how many runs execute at once.
func (w *Worker) Loop(queue Queue) worker.Loop {
	return worker.Continuous("job worker", func(ctx context.Context) error { return queue.Consume(ctx, w.Handle) })
}

// Handle executes the run of an order, and returns nil when the answer is committed. It ignores an order whose run is
// answered, cancelled, or leased to another worker.
func (w *Worker) Handle(ctx context.Context, d Delivery) error {
	j, err := w.start(ctx, d.Order)
	if errors.Is(err, errNotToRun) || errs.IsMissing(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("start run %s: %w", d.Order.RunID, err)
	}
	began := w.clock.Now()
	outcome := w.execute(ctx, j, d)
	logger := w.logger.With("job", j.ID, "run", j.RunID, "kind", j.Kind, "attempt", j.Attempt, "took", w.clock.Now().Sub(began))
	if outcome.Err != nil {
		logger.WarnContext(ctx, "a run failed", "error", errorText(outcome.Err))
	} else {
		logger.InfoContext(ctx, "a run succeeded")
	}
	return w.answer(ctx, d.Order, outcome)
}

func (w *Worker) start(ctx context.Context, order Order) (Job, error) {
	now := w.clock.Now()
	return w.store.Change(ctx, order.JobID, order.RunID, func(j Job, run *Run) (Change, error) {
		return j.start(run, now, lease)
	})
}

// execute runs the kind of the job until it returns, its timeout passes, or its lease is lost.
func (w *Worker) execute(ctx context.Context, j Job, d Delivery) Outcome {
	kind, err := w.kinds.lookup(j.Kind)
	if err != nil {
		return Outcome{Err: Permanent(err)}
	}
	executing, end := context.WithTimeoutCause(ctx, j.Timeout, fmt.Errorf("the attempt took longer than %v", j.Timeout))
	defer end()
	executing, supersede := context.WithCancelCause(executing)
	defer supersede(nil)
	var beating sync.WaitGroup
	beating.Go(func() { w.sendHeartbeats(executing, d, supersede) })
	task := Task{JobID: j.ID, RunID: j.RunID, FiringID: j.FiringID, Attempt: j.Attempt, Payload: j.wholePayload()}
	result, err := w.attempt(executing, kind, task)
	cause := context.Cause(executing)
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

func (w *Worker) attempt(ctx context.Context, kind Kind, task Task) (result string, err error) {
	defer func() {
		if p := recover(); p != nil {
			w.logger.ErrorContext(ctx, "a job panicked", "job", task.JobID, "run", task.RunID, "panic", p, "stack", string(debug.Stack()))
			result, err = "", errors.New("something went wrong on our side")
		}
	}()
	result, err = kind.Run(ctx, task)
	if result == "" {
		return "", err
	}
	if refusal := input.JSON("the result", result, maxResult); refusal != nil {
		return "", cmp.Or(err, Permanent(refusal))
	}
	return result, err
}

// sendHeartbeats renews the lease in the store, and the delivery in the queue, until ctx ends. It ends the run when
// the lease is lost, or when the store has failed until the lease has expired.
func (w *Worker) sendHeartbeats(ctx context.Context, d Delivery, supersede context.CancelCauseFunc) {
	for misses := 0; clock.Sleep(ctx, clock.System{}, w.heartbeat) == nil; {
		if err := d.InProgress(); err != nil {
			w.logger.WarnContext(ctx, "a delivery was not extended", "run", d.Order.RunID, "error", err)
		}
		leased, err := w.renew(ctx, d.Order)
		switch {
		case err == nil && !leased:
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

// answer writes the outcome. It retries for answerTimeout, or stopTimeout while the worker is being stopped, because
// a run without an answer is executed again.
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
		if err == nil || errs.IsMissing(err) {
			w.wake()
			return nil
		}
		if clock.Sleep(writing, clock.System{}, answerPause) != nil {
			return fmt.Errorf("answer for run %s: %w", order.RunID, err)
		}
	}
}
