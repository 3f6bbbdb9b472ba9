package loaders

import (
	"context"
	"sync"
	"time"
)

// grace is how long a root field that has its answer waits for the others before it goes down a
// level: as long as services that are not in trouble may take. The answer as a whole waits for the
// slowest field anyway, so waiting costs it no more than the time of the levels below.
const grace = 500 * time.Millisecond

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

// Arrive says that a root field has its answer, or will never have one. Each arrives once.
func (t *Together) Arrive() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.missing--
	if t.missing == 0 {
		close(t.all)
	}
}

// Wait waits until all have arrived, at most for the grace.
func (t *Together) Wait(ctx context.Context) {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-t.all:
	case <-timer.C:
	case <-ctx.Done():
	}
}
