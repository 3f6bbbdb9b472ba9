package quota

import (
	"context"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/redis/go-redis/v9"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/redisdb"
)

// Shared is a ledger in Redis for many gateways. Without Redis each gateway counts in its own memory. A refund is
// buffered and sent with the caller's next request to this gateway, so that it costs no round trip; without a next
// request it is dropped.
type Shared struct {
	client *redisdb.Client
	ledger redisLedger
	memory *Memory

	mu      sync.Mutex
	refunds *otter.Cache[string, int] // buffered points, by key
}

var _ Ledger = (*Shared)(nil)

// maxBufferedRefunds bounds the callers with a buffered refund.
const maxBufferedRefunds = 10_000

// NewShared returns a ledger that falls back to the memory without Redis.
func NewShared(client *redisdb.Client, memory *Memory) *Shared {
	refunds := otter.Must(&otter.Options[string, int]{MaximumSize: maxBufferedRefunds})
	return &Shared{client: client, ledger: newRedisLedger(), memory: memory, refunds: refunds}
}

// Charge implements Ledger.
func (s *Shared) Charge(ctx context.Context, key string, limit, points int) (left bff.Budget, err error) {
	refund := s.drainRefund(key)
	var ok bool
	var wait time.Duration
	err = s.client.Do(ctx, func(ctx context.Context, client *redis.Client) (err error) {
		left, ok, wait, err = s.ledger.charge(ctx, client, key, limit, points, refund)
		return err
	})
	switch {
	case err != nil:
		if refund > 0 {
			s.memory.Refund(ctx, key, limit, refund)
		}
		return s.memory.Charge(ctx, key, limit, points)
	case !ok:
		return left, exhausted(points, left, wait)
	}
	return left, nil
}

// Refund buffers a refund until the caller's next request.
func (s *Shared) Refund(_ context.Context, key string, limit, points int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	buffered, _ := s.refunds.GetIfPresent(key)
	s.refunds.Set(key, min(buffered+points, limit))
}

func (s *Shared) drainRefund(key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	buffered, _ := s.refunds.Invalidate(key)
	return buffered
}
