// Package cache keeps answers of the services: in the memory of this gateway, and for all gateways in
// Redis. It implements the ports of bff over other ports.
//
// It promises: once a write has been answered, no read through any gateway gives what was before it.
// Entries carry the versions of their tags as they were before the service was asked, and are good for
// as long as those stand; a write takes the versions away before it is sent and sets new ones before
// it is answered (docs/adr/0006-versioned-cache.md has the protocol). When versions cannot be told, as when Redis
// is away, the services answer. What one caller may see is never shown to one who may not: the right
// to see is part of each key. What is kept, for whom, and what ends it stands in table.go.
package cache

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/maypok86/otter/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/internal/clock"
)

// Options say what a cache is made of.
type Options struct {
	Redis    *RedisOptions // nil for a gateway that is alone
	Memory   int64         // bytes of answers in memory, about
	Largest  int           // bytes of the largest answer that is kept
	Clock    clock.Clock
	Logger   *slog.Logger
	Registry prometheus.Registerer // nil: nobody looks

	blind bool // versions are not compared; only to see that tests notice
}

// Cache is what this gateway keeps. It is safe for concurrent use.
type Cache struct {
	options  Options
	versions versions
	alone    bool // there is no other gateway to share anything with
	memory   *otter.Cache[string, *shelf]
	metrics  *metrics
	rows     map[string]row

	closed  atomic.Bool
	stop    context.CancelFunc
	running sync.WaitGroup // flights, and what pays debts
}

// New opens a cache; it is to be closed.
func New(options Options) *Cache {
	ctx, stop := context.WithCancel(context.Background())
	c := &Cache{options: options, stop: stop, rows: map[string]row{}}
	for _, r := range table() {
		c.rows[r.method] = r
	}
	c.memory = otter.Must(&otter.Options[string, *shelf]{
		MaximumWeight: uint64(max(options.Memory, 1)),
		Weigher:       func(key string, s *shelf) uint32 { return uint32(len(key)) + s.weight() },
	})
	c.metrics = newMetrics(options.Registry, c)
	if options.Redis == nil {
		c.versions, c.alone = newLocal(), true
		return c
	}
	s := newShared(*options.Redis, options.Logger, c.metrics)
	c.versions = s
	c.running.Go(func() { s.pay(ctx) })
	c.running.Go(func() { s.write(ctx) })
	return c
}

// Close waits for what is under way; answers then come from the services.
func (c *Cache) Close(ctx context.Context) error {
	c.closed.Store(true)
	c.stop()
	ended := make(chan struct{})
	go func() { defer close(ended); c.running.Wait() }()
	select {
	case <-ended:
	case <-ctx.Done():
		return fmt.Errorf("the cache's calls have not ended: %w", ctx.Err())
	}
	c.memory.StopAllGoroutines()
	return nil
}
