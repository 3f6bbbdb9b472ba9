// Package documents shares the texts of persisted documents among gateways, in Redis.
//
// It promises that a text that is not that of its hash is never given, and that a Redis that is away
// or slow costs a bounded wait and then none: each gateway goes by what it has.
package documents

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sony/gobreaker/v2"
)

// Shared keeps near what this gateway was asked for, and in Redis what any of them has registered. After
// three failures in a row Redis is left alone for a second at a time.
type Shared struct {
	near    Store
	redis   redis.Cmdable
	options Options
	breaker *gobreaker.CircuitBreaker[string]
}

// Store keeps texts by their hash, the SHA-256 in hex.
type Store interface {
	Get(ctx context.Context, hash string) (text string, found bool)
	Put(ctx context.Context, hash, text string)
}

// Options say how long is waited, and how long is kept.
type Options struct {
	Timeout time.Duration // of one question to Redis
	Keep    time.Duration // from when a document was asked for last
	Logger  *slog.Logger
}

var _ Store = (*Shared)(nil)

const (
	prefix          = "sluice:document:"
	failuresToLeave = 3
	leftAlone       = time.Second
)

// New shares what the near store keeps.
func New(client redis.Cmdable, near Store, options Options) *Shared {
	return &Shared{near: near, redis: client, options: options,
		breaker: gobreaker.NewCircuitBreaker[string](gobreaker.Settings{
			Name: "documents", Timeout: leftAlone, MaxRequests: 1,
			ReadyToTrip:  func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= failuresToLeave },
			IsSuccessful: func(err error) bool { return err == nil || errors.Is(err, redis.Nil) },
			OnStateChange: func(_ string, from, to gobreaker.State) {
				options.Logger.Warn("persisted documents in redis", "from", from.String(), "to", to.String())
			},
		})}
}

// Get asks Redis for what this gateway does not have. A text that is not that of the hash is none.
func (s *Shared) Get(ctx context.Context, hash string) (string, bool) {
	if text, found := s.near.Get(ctx, hash); found {
		return text, true
	}
	text, err := s.ask(ctx, func(ctx context.Context) (string, error) {
		return s.redis.GetEx(ctx, prefix+hash, s.options.Keep).Result()
	})
	if err != nil {
		return "", false
	}
	if sum := sha256.Sum256([]byte(text)); hex.EncodeToString(sum[:]) != hash {
		s.options.Logger.ErrorContext(ctx, "a persisted document in redis is not that of its hash", "hash", hash)
		return "", false
	}
	s.near.Put(ctx, hash, text)
	return text, true
}

// Put keeps the text here, and for the other gateways if Redis answers.
func (s *Shared) Put(ctx context.Context, hash, text string) {
	s.near.Put(ctx, hash, text)
	_, _ = s.ask(ctx, func(ctx context.Context) (string, error) { // else the client registers it anew, there
		return s.redis.Set(ctx, prefix+hash, text, s.options.Keep).Result()
	})
}

// State is that of the breaker of Redis: "closed", "half-open", "open".
func (s *Shared) State() string { return s.breaker.State().String() }

// ask goes on for a caller that goes away meanwhile: that tells nothing of Redis.
func (s *Shared) ask(ctx context.Context, question func(context.Context) (string, error)) (string, error) {
	return s.breaker.Execute(func() (string, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.options.Timeout)
		defer cancel()
		return question(ctx)
	})
}
