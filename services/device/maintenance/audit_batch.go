package maintenance

import (
	"context"
	"time"
)

// callLog gathers calls that are made at once, so that one write keeps them all. It needs no goroutine
// of its own: whoever finds nobody writing writes for all who wait.
type callLog struct {
	turn chan struct{} // held by who writes
	next chan *callBatch
}

// writeTime is how long a write may take. Who waits, waits for the one that is under way and for its own.
const writeTime = 5 * time.Second

type callBatch struct {
	calls []Call
	done  chan struct{}
	err   error
}

func newCallLog() *callLog {
	l := &callLog{turn: make(chan struct{}, 1), next: make(chan *callBatch, 1)}
	l.next <- &callBatch{done: make(chan struct{})}
	return l
}

func (l *callLog) keep(ctx context.Context, c Call, write func(context.Context, []Call) error) error {
	mine := <-l.next
	mine.calls = append(mine.calls, c)
	l.next <- mine
	patience := time.NewTimer(2 * writeTime)
	defer patience.Stop()
	select {
	case <-mine.done:
		return mine.err
	case <-patience.C: // whoever calls next writes it
		return context.DeadlineExceeded
	case l.turn <- struct{}{}:
	}
	defer func() { <-l.turn }()
	select {
	case <-mine.done: // somebody wrote it just before
		return mine.err
	default:
	}
	<-l.next // it is mine: only who has the turn takes it away
	l.next <- &callBatch{done: make(chan struct{})}
	ctx, cancel := context.WithTimeout(ctx, writeTime) // its own, however long it waited
	defer cancel()
	mine.err = write(ctx, mine.calls)
	close(mine.done)
	return mine.err
}
