package auth

import (
	"context"
	"crypto/sha256"
	"strconv"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/sync/singleflight"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
)

// CacheOptions bound the cache of verdicts. The zero value caches nothing.
type CacheOptions struct {
	TTL     time.Duration
	Entries int // about 500 bytes each

	OnRefusal func(ctx context.Context, err error) // is called for credentials that are not valid; may be nil
}

// verdictCache caches verdicts by the hash of the credentials, without secrets.
type verdictCache struct {
	clock    clock.Clock
	ttl      time.Duration
	verdicts *otter.Cache[[sha256.Size]byte, verdict]
	flight   singleflight.Group

	mu    sync.Mutex
	epoch int // number of invalidations: a verdict of an earlier epoch is not stored
}

// verdict is the result of a verification.
type verdict struct {
	who     caller.Caller
	refusal error
	expires time.Time
}

func newVerdictCache(options CacheOptions, clk clock.Clock) *verdictCache {
	if options.TTL <= 0 || options.Entries <= 0 {
		return nil
	}
	return &verdictCache{clock: clk, ttl: options.TTL, verdicts: otter.Must(&otter.Options[[sha256.Size]byte, verdict]{
		MaximumSize: options.Entries, Executor: func(evict func()) { evict() }, // the bound is exact
	})}
}

// verify returns the cached verdict on the credentials, or verifies them, once for all concurrent requests. Errors
// that say nothing about the credentials are not cached.
func (c *verdictCache) verify(ctx context.Context, secret string, verify func(ctx context.Context) (caller.Caller, error)) (caller.Caller, error) {
	if c == nil {
		return verify(ctx)
	}
	hash := sha256.Sum256([]byte(secret))
	if v, found := c.lookup(hash); found {
		return v.who, v.refusal
	}
	c.mu.Lock()
	epoch := c.epoch
	c.mu.Unlock()
	found, err, _ := c.flight.Do(string(hash[:])+strconv.Itoa(epoch), func() (any, error) {
		who, err := verify(context.WithoutCancel(ctx))
		v := verdict{who: who, refusal: err, expires: c.clock.Now().Add(c.ttl)}
		if err != nil && errs.From(err).Code != errs.Unauthenticated {
			return v, err
		}
		if !who.ExpiresAt.IsZero() && who.ExpiresAt.Before(v.expires) {
			v.expires = who.ExpiresAt
		}
		c.store(hash, v, epoch)
		return v, err
	})
	if err != nil {
		return caller.Caller{}, err
	}
	return found.(verdict).who, nil
}

func (c *verdictCache) cached(secret string) (who caller.Caller, found bool) {
	if c == nil {
		return caller.Caller{}, false
	}
	v, found := c.lookup(sha256.Sum256([]byte(secret)))
	if !found || v.refusal != nil {
		return caller.Caller{}, false
	}
	return v.who, true
}

func (c *verdictCache) lookup(hash [sha256.Size]byte) (v verdict, found bool) {
	v, found = c.verdicts.GetIfPresent(hash)
	return v, found && c.clock.Now().Before(v.expires)
}

func (c *verdictCache) store(hash [sha256.Size]byte, v verdict, epoch int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if epoch == c.epoch {
		c.verdicts.Set(hash, v)
	}
}

// invalidate drops the verdicts on an API key, and those of running verifications.
func (c *verdictCache) invalidate(id string) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	for hash, v := range c.verdicts.All() {
		if v.who.APIKeyID == id {
			c.verdicts.Invalidate(hash)
		}
	}
}

// Invalidate drops the cached verdict on an API key after a revocation or rotation.
func (a *Authenticator) Invalidate(id string) { a.apiKeys.invalidate(id) }

// Invalidating returns a port that invalidates the verdict on an API key that is revoked or rotated through this gateway, and on a
// session that is ended through it, before it returns the response.
func (a *Authenticator) Invalidating(accounts bff.Accounts) bff.Accounts {
	return invalidating{accounts, a}
}

type invalidating struct {
	bff.Accounts
	auth *Authenticator
}

// Logout ends the session of the caller.
func (i invalidating) Logout(ctx context.Context) error {
	err := i.Accounts.Logout(ctx)
	if err == nil {
		i.auth.EndSession(caller.FromContext(ctx).SessionID)
	}
	return err
}

// RevokeAPIKey revokes a key, and those that it made: their verdicts are dropped by their events.
func (i invalidating) RevokeAPIKey(ctx context.Context, id string) (*bff.ApiKey, error) {
	key, err := i.Accounts.RevokeAPIKey(ctx, id)
	i.auth.Invalidate(id)
	return key, err
}

// RotateAPIKey replaces the secret of a key.
func (i invalidating) RotateAPIKey(ctx context.Context, id string, idempotencyKey *string) (*bff.CreatedApiKey, error) {
	key, err := i.Accounts.RotateAPIKey(ctx, id, idempotencyKey)
	i.auth.Invalidate(id)
	return key, err
}
