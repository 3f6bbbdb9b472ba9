// Package cache caches responses of the services in memory and, for all gateways, in Redis. It implements the ports
// of bff over other ports.
//
// After the response to a write, no read through any gateway returns a value from before that write. Each entry has
// the versions of its tags before the read, and is served only while they are current. A write invalidates the
// versions before the service receives it, and sets new ones before its response (docs/adr/0006-versioned-cache.md).
// If the versions are unknown, as during an outage of Redis, the services respond. The right of the caller is part of
// each key, so callers with other rights do not share entries. Package policy states what is cached, for which
// callers, and what invalidates it.
package cache

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/bff/cache/policy"
	"github.com/sluicehq/sluice/bff/cache/versions"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/redisdb"
)

// RedisOptions configure the shared cache.
type RedisOptions struct {
	Client *redisdb.Client // before its first call
	// WriteTime is the maximum time of a write, from the request to its response.
	WriteTime time.Duration
}

// Options configure a Cache.
type Options struct {
	Redis    *RedisOptions // nil for a single gateway
	Memory   int64         // bytes of entries in memory, about
	MaxEntry int           // bytes of one entry
	Clock    clock.Clock
	Logger   *slog.Logger
	Registry prometheus.Registerer // nil registers no metrics

	ignoreVersions bool // serves stale entries, to prove that tests detect them
}

// Cache is the cache of one gateway. It is safe for concurrent use.
type Cache struct {
	options        Options
	versions       versions.Store
	versionMetrics *versions.Metrics
	alone          bool // no other gateway shares entries
	memory         *otter.Cache[string, *bucket]
	metrics        *metrics
	rules          map[string]policy.Rule

	closed   atomic.Bool
	detached atomic.Bool // a Follower exists that has not reached the stream of events yet
	stop     context.CancelFunc
	running  sync.WaitGroup // flights, and background work of versions
}

// New returns a Cache, which must be closed.
func New(options Options) *Cache {
	ctx, stop := context.WithCancel(context.Background())
	c := &Cache{options: options, stop: stop, rules: policy.Rules(), versionMetrics: versions.NewMetrics(options.Registry)}
	c.memory = otter.Must(&otter.Options[string, *bucket]{
		MaximumWeight: uint64(max(options.Memory, 1)),
		Weigher:       func(key string, b *bucket) uint32 { return uint32(len(key)) + b.weight() },
	})
	c.metrics = newMetrics(options.Registry, c)
	if options.Redis == nil {
		c.versions, c.alone = versions.NewLocal(), true
		return c
	}
	shared := versions.NewShared(versions.Options{
		Client: options.Redis.Client, WriteTime: options.Redis.WriteTime, Logger: options.Logger, Metrics: c.versionMetrics,
	})
	c.versions = shared
	c.running.Go(func() { shared.Run(ctx) })
	return c
}

// Close waits for flights. Reads after it go to the services.
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

// Follower returns what invalidates the entities of events. Until it has reached the stream of events, reads go to the
// services.
func (c *Cache) Follower(ctx context.Context, js jetstream.JetStream) *versions.Follower {
	c.detached.Store(true)
	follower := versions.NewFollower(js, c.versions, c.options.Logger, c.versionMetrics, func() { c.detached.Store(false) })
	if err := follower.Join(ctx); err != nil {
		c.options.Logger.Warn("the cache is unused until the stream of events is available", "error", err.Error())
	}
	return follower
}

// isBypassed reports whether reads go to the services.
func (c *Cache) isBypassed() bool { return c.closed.Load() || c.detached.Load() }

// ListenToPeers lets gateways invalidate tags for each other while one of them cannot reach Redis.
func (c *Cache) ListenToPeers(conn *nats.Conn) (stop func() error, err error) {
	if shared, ok := c.versions.(*versions.Shared); ok {
		return shared.ListenToPeers(conn)
	}
	return func() error { return nil }, nil
}
