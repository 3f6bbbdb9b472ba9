package quota

import (
	"context"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/clock"
)

// Memory is a ledger of one process. It keeps a bounded number of callers and forgets the one that
// has not come for the longest time, who then has a whole budget again. It is not a cache with an
// admission policy on purpose: one that turned a newcomer away would give it a new budget each time.
type Memory struct {
	clock   clock.Clock
	buckets *lru.Cache[string, *rate.Limiter]
}

var _ Ledger = (*Memory)(nil)

// NewMemory keeps at most as many callers, about 300 bytes each.
func NewMemory(clk clock.Clock, callers int) *Memory {
	buckets, _ := lru.New[string, *rate.Limiter](max(callers, 1)) // only a size below 1 is refused
	return &Memory{clock: clk, buckets: buckets}
}

// Take takes points.
func (m *Memory) Take(_ context.Context, key string, limit, points int) (bff.Budget, error) {
	now := m.clock.Now()
	bucket := m.bucket(key, limit, now)
	taken := bucket.AllowN(now, points)
	tokens := bucket.TokensAt(now)
	left := budget(limit, int(tokens+rounding))
	if taken {
		return left, nil
	}
	return left, exhausted(points, left, perMinute(float64(points)-tokens, limit))
}

// Give gives points back. A limiter takes what is below nothing for a gift, and caps it at its burst
// when it counts the next time.
func (m *Memory) Give(_ context.Context, key string, limit, points int) {
	now := m.clock.Now()
	m.bucket(key, limit, now).AllowN(now, -points)
}

// rounding makes up for fractions that are lost when points come back in fractions of time.
const rounding = 1e-6

// bucket is the caller's, brought to the limit that it has now.
func (m *Memory) bucket(key string, limit int, now time.Time) *rate.Limiter {
	bucket, known := m.buckets.Get(key)
	if !known {
		bucket = rate.NewLimiter(rate.Limit(float64(limit)/60), limit)
		if earlier, known, _ := m.buckets.PeekOrAdd(key, bucket); known {
			bucket = earlier
		}
	}
	if bucket.Burst() != limit {
		bucket.SetLimitAt(now, rate.Limit(float64(limit)/60))
		bucket.SetBurstAt(now, limit)
	}
	return bucket
}

// perMinute is how long points take to come back.
func perMinute(points float64, limit int) time.Duration {
	return time.Duration(max(points, 0) / float64(limit) * float64(time.Minute))
}
