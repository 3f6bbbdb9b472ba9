package guard

import (
	"context"
	"sync"
	"time"
)

// bulkhead bounds the calls in flight: of all callers, and of each caller to half of them. Anonymous clients count as
// one caller.
type bulkhead struct {
	slots chan struct{} // a semaphore
	limit int           // of one caller

	mu      sync.Mutex
	callers map[string]*callerSlots // of callers with calls
	unused  *callerSlots            // of the last caller whose calls have ended
}

type callerSlots struct {
	slots chan struct{} // a semaphore
	users int           // calls in flight or waiting
}

func newBulkhead(inFlight int) *bulkhead {
	return &bulkhead{slots: make(chan struct{}, inFlight), limit: max(inFlight/2, 1), callers: map[string]*callerSlots{}}
}

func (b *bulkhead) inFlight() int { return len(b.slots) }

// acquire acquires a slot of the caller and a slot of all, with up to the given wait for each; ok is false if there
// is none.
func (b *bulkhead) acquire(ctx context.Context, name string, wait time.Duration) (own *callerSlots, ok bool) {
	own = b.of(name)
	if acquire(ctx, own.slots, wait) {
		if acquire(ctx, b.slots, wait) {
			return own, true
		}
		<-own.slots
	}
	b.drop(name, own)
	return nil, false
}

func (b *bulkhead) of(name string) *callerSlots {
	b.mu.Lock()
	defer b.mu.Unlock()
	own := b.callers[name]
	if own == nil {
		if own, b.unused = b.unused, nil; own == nil {
			own = &callerSlots{slots: make(chan struct{}, b.limit)}
		}
		b.callers[name] = own
	}
	own.users++
	return own
}

func (b *bulkhead) release(name string, own *callerSlots) {
	<-b.slots
	<-own.slots
	b.drop(name, own)
}

func (b *bulkhead) drop(name string, own *callerSlots) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if own.users--; own.users == 0 {
		delete(b.callers, name)
		b.unused = own
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
