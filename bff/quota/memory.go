package quota

import (
	"context"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/time/rate"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/clock"
)

// Memory is a ledger of one process for a bounded number of callers. At the bound it evicts the callers with the
// fewest requests, whose budget is then full. A busy caller is not evicted, so it cannot renew its budget with a
// flood of requests from other callers.
type Memory struct {
	clock   clock.Clock
	buckets *otter.Cache[string, *rate.Limiter]
}

var _ Ledger = (*Memory)(nil)

// NewMemory returns a ledger for this many callers, about 300 bytes each.
func NewMemory(clk clock.Clock, callers int) *Memory {
	return &Memory{clock: clk, buckets: otter.Must(&otter.Options[string, *rate.Limiter]{
		MaximumSize: max(callers, 1), Executor: func(evict func()) { evict() }, // the bound is exact
	})}
}

// Charge implements Ledger.
func (m *Memory) Charge(_ context.Context, key string, limit, points int) (bff.Budget, error) {
	now := m.clock.Now()
	bucket := m.bucket(key, limit, now)
	ok := bucket.AllowN(now, points)
	tokens := bucket.TokensAt(now)
	left := budget(limit, int(tokens+rounding))
	if ok {
		return left, nil
	}
	return left, exhausted(points, left, perMinute(float64(points)-tokens, limit))
}

// Refund implements Ledger: a limiter adds negative tokens, and caps the sum at its burst on the next request.
func (m *Memory) Refund(_ context.Context, key string, limit, points int) {
	now := m.clock.Now()
	m.bucket(key, limit, now).AllowN(now, -points)
}

// rounding corrects fractions of a point that the limiter loses when it refills.
const rounding = 1e-6

func (m *Memory) bucket(key string, limit int, now time.Time) *rate.Limiter {
	bucket, known := m.buckets.GetIfPresent(key)
	if !known {
		bucket, _ = m.buckets.SetIfAbsent(key, rate.NewLimiter(rate.Limit(float64(limit)/60), limit))
	}
	if bucket.Burst() != limit {
		bucket.SetLimitAt(now, rate.Limit(float64(limit)/60))
		bucket.SetBurstAt(now, limit)
	}
	return bucket
}

func perMinute(points float64, limit int) time.Duration {
	return time.Duration(max(points, 0) / float64(limit) * float64(time.Minute))
}
