package versions

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sluicehq/sluice/bff/cache/policy"
	"github.com/sluicehq/sluice/internal/worker"
)

// maxBacklog bounds the tags in the backlog. A fuller backlog invalidates all entries.
const maxBacklog = 1000

// flushInterval is the pause between two attempts to flush the backlog.
const flushInterval = 100 * time.Millisecond

// backlog has the tags that must be invalidated in Redis before this gateway uses the cache.
type backlog struct {
	wake worker.Wakeup // after a new tag
	mu   sync.Mutex
	tags map[string]int // number of enqueues, so that a tag that is enqueued during a flush remains
}

func newBacklog() *backlog { return &backlog{wake: worker.NewWakeup(), tags: map[string]int{}} }

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
	b.wake.Wake()
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

// flushing is the loop that flushes the backlog after a new tag, and until it has succeeded.
func (s *Shared) flushing() worker.Loop {
	return worker.Loop{Name: "cache invalidations", Pass: s.flushBacklog, Wakeup: s.backlog.wake, MinBackoff: flushInterval, MaxBackoff: flushInterval}
}

func (s *Shared) flushBacklog(ctx context.Context) error {
	tags := s.backlog.snapshot()
	if len(tags) == 0 {
		return nil
	}
	if err := s.release(ctx, "", slices.Collect(maps.Keys(tags))); err != nil {
		return err
	}
	if !s.backlog.remove(tags) {
		s.backlog.wake.Wake()
	}
	return nil
}
