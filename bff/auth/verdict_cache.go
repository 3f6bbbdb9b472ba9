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

// Memory says how long and how many verdicts on credentials are kept; the zero Memory keeps none.
type Memory struct {
	For   time.Duration
	Count int // about 500 bytes each
}

// remembered keeps what credentials were found to be, by their hash: neither they nor a way back to
// them is kept.
type remembered struct {
	clock    clock.Clock
	memory   Memory
	verdicts *otter.Cache[[sha256.Size]byte, verdict]
	flight   singleflight.Group

	mu    sync.Mutex
	epoch int // of what was forgotten: what was asked before is not kept after
}

// verdict is what credentials were found to be.
type verdict struct {
	who     caller.Caller
	refusal error
	until   time.Time
}

func newRemembered(memory Memory, clk clock.Clock) *remembered {
	if memory.For <= 0 || memory.Count <= 0 {
		return nil
	}
	verdicts := otter.Must(&otter.Options[[sha256.Size]byte, verdict]{
		MaximumSize: memory.Count, Executor: func(evict func()) { evict() }, // the bound is exact
	})
	return &remembered{clock: clk, memory: memory, verdicts: verdicts}
}

// find tells what the credentials were found to be, or finds out, once for all who ask meanwhile. An
// answer that tells nothing of the credentials is not kept.
func (r *remembered) find(ctx context.Context, secret string, ask func(ctx context.Context) (caller.Caller, error)) (caller.Caller, error) {
	if r == nil {
		return ask(ctx)
	}
	hash := sha256.Sum256([]byte(secret))
	if v, known := r.verdict(hash); known {
		return v.who, v.refusal
	}
	epoch := r.now()
	found, err, _ := r.flight.Do(string(hash[:])+strconv.Itoa(epoch), func() (any, error) {
		who, err := ask(context.WithoutCancel(ctx))
		v := verdict{who: who, refusal: err, until: r.clock.Now().Add(r.memory.For)}
		if err != nil && errs.From(err).Code != errs.Unauthenticated {
			return v, err
		}
		if !who.ExpiresAt.IsZero() && who.ExpiresAt.Before(v.until) {
			v.until = who.ExpiresAt
		}
		r.keep(hash, v, epoch)
		return v, err
	})
	if err != nil {
		return caller.Caller{}, err
	}
	return found.(verdict).who, nil
}

// known is find without finding out.
func (r *remembered) known(secret string) (who caller.Caller, held bool) {
	if r == nil {
		return caller.Caller{}, false
	}
	v, known := r.verdict(sha256.Sum256([]byte(secret)))
	if !known || v.refusal != nil {
		return caller.Caller{}, false
	}
	return v.who, true
}

// verdict is one that is kept, and still holds.
func (r *remembered) verdict(hash [sha256.Size]byte) (v verdict, known bool) {
	v, known = r.verdicts.GetIfPresent(hash)
	return v, known && r.clock.Now().Before(v.until)
}

func (r *remembered) now() (epoch int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.epoch
}

func (r *remembered) keep(hash [sha256.Size]byte, v verdict, epoch int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if epoch == r.epoch {
		r.verdicts.Set(hash, v)
	}
}

// forget drops what is known of an API key, also what is being asked.
func (r *remembered) forget(id string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.epoch++
	for hash, v := range r.verdicts.All() {
		if v.who.APIKeyID == id {
			r.verdicts.Invalidate(hash)
		}
	}
}

// Forget has the API key verified anew from now on: it was revoked, or has another secret.
func (a *Authenticator) Forget(id string) { a.apiKeys.forget(id) }

// Watch has keys forgotten that are revoked or rotated through this gateway, before that is answered.
func (a *Authenticator) Watch(accounts bff.Accounts) bff.Accounts { return watched{accounts, a} }

type watched struct {
	bff.Accounts
	auth *Authenticator
}

// RevokeAPIKey ends a key.
func (w watched) RevokeAPIKey(ctx context.Context, id string) (*bff.ApiKey, error) {
	key, err := w.Accounts.RevokeAPIKey(ctx, id)
	w.auth.Forget(id)
	return key, err
}

// RotateAPIKey gives a key a new secret.
func (w watched) RotateAPIKey(ctx context.Context, id string) (*bff.CreatedApiKey, error) {
	key, err := w.Accounts.RotateAPIKey(ctx, id)
	w.auth.Forget(id)
	return key, err
}
