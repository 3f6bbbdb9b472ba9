package quota

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/redis/go-redis/v9"
	"github.com/sony/gobreaker/v2"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/errs"
)

// SharedOptions say how long Redis is waited for.
type SharedOptions struct {
	Timeout time.Duration // of one question
	Logger  *slog.Logger
}

// Shared is a ledger of many gateways, in Redis. When Redis does not answer in time the gateway goes
// by its own memory: a caller then has one budget at each gateway. After three failures in a row
// Redis is left alone for a second at a time, so that nobody waits for it.
//
// What is given back is told to Redis with the caller's next request here, so that it costs no round
// trip of its own; what a caller that does not come back is owed is forgotten.
type Shared struct {
	redis   *inRedis
	memory  *Memory
	timeout time.Duration
	breaker *gobreaker.CircuitBreaker[bff.Budget]

	mu   sync.Mutex
	owed *otter.Cache[string, int]
}

var _ Ledger = (*Shared)(nil)

// How Redis is left alone when it does not answer.
const (
	failuresToLeave = 3
	leftAlone       = time.Second
	owedCallers     = 10_000 // at most as many are owed something at once
)

// NewShared keeps budgets where the client leads to, and in memory when that does not answer.
func NewShared(client redis.Scripter, memory *Memory, options SharedOptions) *Shared {
	owed := otter.Must(&otter.Options[string, int]{MaximumSize: owedCallers})
	return &Shared{redis: newInRedis(client), memory: memory, timeout: options.Timeout, owed: owed,
		breaker: gobreaker.NewCircuitBreaker[bff.Budget](gobreaker.Settings{
			Name:         "redis",
			Timeout:      leftAlone,
			MaxRequests:  1,
			ReadyToTrip:  func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= failuresToLeave },
			IsSuccessful: func(err error) bool { return err == nil || isRefusal(err) },
			OnStateChange: func(_ string, from, to gobreaker.State) {
				options.Logger.Warn("budgets in redis", "from", from.String(), "to", to.String())
			},
		})}
}

// Take takes points.
func (s *Shared) Take(ctx context.Context, key string, limit, points int) (bff.Budget, error) {
	owed := s.settle(key)
	left, err := s.ask(ctx, key, limit, points, owed)
	if err == nil || isRefusal(err) {
		return left, err
	}
	if owed > 0 {
		s.memory.Give(ctx, key, limit, owed)
	}
	return s.memory.Take(ctx, key, limit, points)
}

// Give gives points back with the caller's next request.
func (s *Shared) Give(_ context.Context, key string, limit, points int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	owed, _ := s.owed.GetIfPresent(key)
	s.owed.Set(key, min(owed+points, limit))
}

// settle forgets what the caller is owed, and gives it.
func (s *Shared) settle(key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	owed, _ := s.owed.Invalidate(key)
	return owed
}

// ask goes to Redis even for a caller that goes away meanwhile: that tells nothing of Redis.
func (s *Shared) ask(ctx context.Context, key string, limit, points, owed int) (bff.Budget, error) {
	return s.breaker.Execute(func() (bff.Budget, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.timeout)
		defer cancel()
		return s.redis.take(ctx, key, limit, points, owed)
	})
}

// State is that of the breaker of Redis: "closed", "half-open", "open".
func (s *Shared) State() string { return s.breaker.State().String() }

// isRefusal tells an answer that says no from none.
func isRefusal(err error) bool { return errs.From(err).Code == errs.ResourceExhausted }
