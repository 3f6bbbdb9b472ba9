package versions

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sluicehq/sluice/bff/cache/policy"
)

// maxBacklog bounds the tags in the backlog. A fuller backlog invalidates all entries.
const maxBacklog = 1000

// flushInterval is the pause between two attempts to flush the backlog.
const flushInterval = 100 * time.Millisecond

// backlog has the tags that must be invalidated in Redis before this gateway uses the cache.
type backlog struct {
	wake chan struct{} // signals a new tag
	mu   sync.Mutex
	tags map[string]int // number of enqueues, so that a tag that is enqueued during a flush remains
}

func newBacklog() *backlog { return &backlog{wake: make(chan struct{}, 1), tags: map[string]int{}} }

func (b *backlog) enqueue(tags ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.tags)+len(tags) > maxBacklog {
		tags = []string{policy.TagAll}
		b.tags = map[string]int{policy.TagAll: b.tags[policy.TagAll]}
	}
	for _, tag := range tags {
		b.tags[tag]++
	}
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *backlog) isEmpty() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.tags) == 0
}

func (b *backlog) snapshot() map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.tags)
}

func (b *backlog) remove(flushed map[string]int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for tag, times := range flushed {
		if b.tags[tag] == times {
			delete(b.tags, tag)
		}
	}
	return len(b.tags) == 0
}

func (s *Shared) flushBacklog(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.backlog.wake:
		}
		for !s.flushOnce(ctx) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(flushInterval):
			}
		}
	}
}

func (s *Shared) flushOnce(ctx context.Context) bool {
	tags := s.backlog.snapshot()
	if len(tags) == 0 {
		return true
	}
	if s.release(ctx, "", slices.Collect(maps.Keys(tags))) != nil {
		return false
	}
	return s.backlog.remove(tags)
}
