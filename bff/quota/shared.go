package quota

import (
	"context"
	"log/slog"
	"time"

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
type Shared struct {
	redis   *inRedis
	memory  *Memory
	timeout time.Duration
	breaker *gobreaker.CircuitBreaker[bff.Budget]
}

var _ Ledger = (*Shared)(nil)

// How Redis is left alone when it does not answer.
const (
	failuresToLeave = 3
	leftAlone       = time.Second
)

// NewShared keeps budgets where the client leads to, and in memory when that does not answer.
func NewShared(client redis.Scripter, memory *Memory, options SharedOptions) *Shared {
	return &Shared{redis: newInRedis(client), memory: memory, timeout: options.Timeout,
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
	left, err := s.ask(ctx, key, limit, points)
	if err == nil || isRefusal(err) {
		return left, err
	}
	return s.memory.Take(ctx, key, limit, points)
}

// Give gives points back, to the memory when Redis does not answer: who gave them is not kept.
func (s *Shared) Give(ctx context.Context, key string, limit, points int) {
	if _, err := s.ask(ctx, key, limit, -points); err != nil {
		s.memory.Give(ctx, key, limit, points)
	}
}

// ask goes to Redis even for a caller that goes away meanwhile: that tells nothing of Redis.
func (s *Shared) ask(ctx context.Context, key string, limit, points int) (bff.Budget, error) {
	return s.breaker.Execute(func() (bff.Budget, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.timeout)
		defer cancel()
		return s.redis.take(ctx, key, limit, points)
	})
}

// isRefusal tells an answer that says no from none.
func isRefusal(err error) bool { return errs.From(err).Code == errs.ResourceExhausted }
