package loaders

import (
	"context"
	"sync"
	"time"
)

// grace is how long a root field that has its answer waits for the others before it goes down a
// level: long enough for services that answer normally, short enough that a slow one delays nobody
// by much.
const grace = 25 * time.Millisecond

// Together lets the root fields of a query go down a level at the same moment, so that what they
// refer to is loaded by one call an entity, not one a field.
type Together struct {
	mu      sync.Mutex
	missing int
	all     chan struct{}
}

// NewTogether expects n root fields.
func NewTogether(n int) *Together {
	t := &Together{missing: n, all: make(chan struct{})}
	if n <= 0 {
		close(t.all)
	}
	return t
}

// Arrive says that a root field has its answer, and waits for the others, at most for the grace.
func (t *Together) Arrive(ctx context.Context) {
	t.mu.Lock()
	t.missing--
	if t.missing == 0 {
		close(t.all)
	}
	t.mu.Unlock()
	select {
	case <-t.all:
		return
	default:
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-t.all:
	case <-timer.C:
	case <-ctx.Done():
	}
}
