package maintenance

import (
	"context"
	"time"
)

// auditBatcher coalesces concurrent calls into one write. It has no goroutine: a caller without a running write
// writes the batch of all waiting callers.
type auditBatcher struct {
	writing chan struct{} // a semaphore of one writer
	next    chan *auditBatch
}

// writeTimeout bounds one write. A caller waits for the running write and for its own.
const writeTimeout = 5 * time.Second

type auditBatch struct {
	calls []Call
	done  chan struct{}
	err   error
}

func newAuditBatcher() *auditBatcher {
	b := &auditBatcher{writing: make(chan struct{}, 1), next: make(chan *auditBatch, 1)}
	b.next <- &auditBatch{done: make(chan struct{})}
	return b
}

// add returns after the call is written, or after the timeouts of two writes.
func (b *auditBatcher) add(ctx context.Context, c Call, write func(context.Context, []Call) error) error {
	batch := <-b.next
	batch.calls = append(batch.calls, c)
	b.next <- batch
	timeout := time.NewTimer(2 * writeTimeout)
	defer timeout.Stop()
	select {
	case <-batch.done:
		return batch.err
	case <-timeout.C: // the next caller writes the batch
		return context.DeadlineExceeded
	case b.writing <- struct{}{}:
	}
	defer func() { <-b.writing }()
	select {
	case <-batch.done: // written while this caller acquired the semaphore
		return batch.err
	default:
	}
	<-b.next // only the holder of the semaphore replaces the batch
	b.next <- &auditBatch{done: make(chan struct{})}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout) // independent of the wait
	defer cancel()
	batch.err = write(ctx, batch.calls)
	close(batch.done)
	return batch.err
}
