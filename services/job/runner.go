package job

import (
	"context"
	"errors"
	"sync"
)

// Runner is what makes jobs happen in one process: a Scheduler and a Worker on a Queue.
type Runner struct {
	scheduler *Scheduler
	worker    *Worker
	queue     Queue
}

// NewRunner makes a Runner; it does nothing until Run.
func NewRunner(scheduler *Scheduler, worker *Worker, queue Queue) *Runner {
	return &Runner{scheduler: scheduler, worker: worker, queue: queue}
}

// Run runs both until ctx ends, and waits for runs at work as long as the queue allows. It ends with
// an error when the queue can no longer be used.
func (r *Runner) Run(ctx context.Context) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	var scheduling sync.WaitGroup
	scheduling.Go(func() { r.scheduler.Run(ctx) })
	err := r.worker.Run(ctx, r.queue)
	if err == nil && ctx.Err() == nil {
		err = errors.New("the queue has ended")
	}
	end()
	scheduling.Wait()
	return err
}
