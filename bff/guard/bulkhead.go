package guard

import (
	"context"
	"sync"
	"time"
)

// bulkhead bounds the calls in flight: of all callers together, and of each caller to half of them, so that one caller
// cannot take all slots. Anonymous clients count as one caller, because the guard cannot distinguish them.
type bulkhead struct {
	slots chan struct{} // a semaphore: one value for each call in flight
	limit int           // of one caller

	mu      sync.Mutex
	callers map[string]*callerSlots // of callers with calls
}

type callerSlots struct {
	slots chan struct{} // a semaphore, as above
	users int           // calls in flight or waiting
}

func newBulkhead(inFlight int) *bulkhead {
	return &bulkhead{slots: make(chan struct{}, inFlight), limit: max(inFlight/2, 1), callers: map[string]*callerSlots{}}
}

func (b *bulkhead) inFlight() int { return len(b.slots) }

// acquire acquires a slot of the caller and a slot of all. For each it waits up to the given time; it returns false when
// there is none.
func (b *bulkhead) acquire(ctx context.Context, name string, wait time.Duration) bool {
	b.mu.Lock()
	own := b.callers[name]
	if own == nil {
		own = &callerSlots{slots: make(chan struct{}, b.limit)}
		b.callers[name] = own
	}
	own.users++
	b.mu.Unlock()
	if acquire(ctx, own.slots, wait) {
		if acquire(ctx, b.slots, wait) {
			return true
		}
		<-own.slots
	}
	b.drop(name, own)
	return false
}

func (b *bulkhead) release(name string) {
	<-b.slots
	b.mu.Lock()
	own := b.callers[name]
	b.mu.Unlock()
	<-own.slots
	b.drop(name, own)
}

func (b *bulkhead) drop(name string, own *callerSlots) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if own.users--; own.users == 0 {
		delete(b.callers, name)
	}
}

func acquire(ctx context.Context, slots chan struct{}, wait time.Duration) bool {
	select {
	case slots <- struct{}{}:
		return true
	default:
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	case <-timer.C:
		return false
	}
}
