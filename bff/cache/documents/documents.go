// Package documents shares the texts of persisted documents between gateways, in Redis. A text always has the
// requested hash. Without Redis each gateway uses the texts in its memory, and no request waits longer than the
// timeout of the Redis client.
package documents

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sluicehq/sluice/internal/redisdb"
)

// Shared is a store of two tiers: recent texts of this gateway in memory, and texts of all gateways in Redis.
type Shared struct {
	memory  Store
	client  *redisdb.Client
	options Options
}

// Store stores texts by their hash, the SHA-256 in hex.
type Store interface {
	Get(ctx context.Context, hash string) (text string, found bool)
	Put(ctx context.Context, hash, text string)
}

// Options configure a Shared store.
type Options struct {
	TTL    time.Duration // since the last read
	Logger *slog.Logger
}

var _ Store = (*Shared)(nil)

const prefix = "sluice:document:"

// New returns a store that shares the texts of the memory store.
func New(client *redisdb.Client, memory Store, options Options) *Shared {
	return &Shared{memory: memory, client: client, options: options}
}

// Get returns the text from memory, else from Redis. A text with another hash counts as missing.
func (s *Shared) Get(ctx context.Context, hash string) (text string, found bool) {
	if text, found = s.memory.Get(ctx, hash); found {
		return text, true
	}
	err := s.client.Do(ctx, func(ctx context.Context, client *redis.Client) (err error) {
		text, err = client.GetEx(ctx, prefix+hash, s.options.TTL).Result()
		return err
	})
	if err != nil {
		return "", false
	}
	if sum := sha256.Sum256([]byte(text)); hex.EncodeToString(sum[:]) != hash {
		s.options.Logger.ErrorContext(ctx, "a persisted document in redis has another hash", "hash", hash)
		return "", false
	}
	s.memory.Put(ctx, hash, text)
	return text, true
}

// Put stores the text in memory and, if available, in Redis. Without Redis a client registers the document at each
// gateway.
func (s *Shared) Put(ctx context.Context, hash, text string) {
	s.memory.Put(ctx, hash, text)
	_ = s.client.Do(ctx, func(ctx context.Context, client *redis.Client) error {
		return client.Set(ctx, prefix+hash, text, s.options.TTL).Err()
	})
}
