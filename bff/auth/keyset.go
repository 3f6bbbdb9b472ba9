package auth

import (
	"context"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
)

// The key set is refreshed when it is stale, and when a token names an unknown key, but at most once per
// minRefreshInterval, because anyone can send tokens with unknown keys.
const (
	keySetTTL          = 10 * time.Minute
	minRefreshInterval = 10 * time.Second
)

// keySet caches the public keys of the account service.
type keySet struct {
	accounts bff.Accounts
	clock    clock.Clock
	flight   singleflight.Group

	mu        sync.Mutex
	keys      map[string]*rsa.PublicKey
	refreshed time.Time
	attempted time.Time // time of the last refresh, successful or not
}

func newKeySet(accounts bff.Accounts, clk clock.Clock) *keySet {
	return &keySet{accounts: accounts, clock: clk}
}

// find returns the public key with the id, after a refresh if necessary.
func (s *keySet) find(ctx context.Context, kid string) (*rsa.PublicKey, error) {
	key, age, sinceAttempt := s.cached(kid)
	if key != nil && (age < keySetTTL || sinceAttempt < minRefreshInterval) {
		return key, nil
	}
	if key == nil && age < minRefreshInterval {
		return nil, fmt.Errorf("no key %.80q", kid)
	}
	if err := s.refresh(ctx); err != nil {
		if key != nil {
			return key, nil // a stale key is used while the account service is away
		}
		return nil, err
	}
	if key, _, _ = s.cached(kid); key == nil {
		return nil, fmt.Errorf("no key %.80q", kid)
	}
	return key, nil
}

// cached returns the cached key, the age of the key set, and the time since the last refresh.
func (s *keySet) cached(kid string) (key *rsa.PublicKey, age, sinceAttempt time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	return s.keys[kid], now.Sub(s.refreshed), now.Sub(s.attempted)
}

// refresh fetches the key set, once for all concurrent requests. The end of one request does not cancel it.
func (s *keySet) refresh(ctx context.Context) error {
	_, err, _ := s.flight.Do("", func() (any, error) {
		keys, err := s.fetch(context.WithoutCancel(ctx))
		s.mu.Lock()
		defer s.mu.Unlock()
		s.attempted = s.clock.Now()
		if keys != nil {
			s.keys, s.refreshed = keys, s.attempted
		}
		return nil, err
	})
	if err != nil {
		return errs.From(err)
	}
	return nil
}

func (s *keySet) fetch(ctx context.Context) (map[string]*rsa.PublicKey, error) {
	set, err := s.accounts.KeySet(ctx)
	if err != nil {
		return nil, err
	}
	return parseKeySet(set)
}

func parseKeySet(text []byte) (map[string]*rsa.PublicKey, error) {
	var set struct {
		Keys []struct{ Kty, Kid, N, E string } `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("decode the key set: %w", err)
	}
	keys := make(map[string]*rsa.PublicKey, len(set.Keys))
	for _, k := range set.Keys {
		if k.Kty != "RSA" {
			continue
		}
		n, nErr := number(k.N)
		e, eErr := number(k.E)
		if nErr != nil || eErr != nil || n.BitLen() < 2048 || e.BitLen() < 2 || e.BitLen() > 31 {
			return nil, fmt.Errorf("key %.80q of the set is not an RSA key of 2048 bits or more", k.Kid)
		}
		keys[k.Kid] = &rsa.PublicKey{N: n, E: int(e.Int64())}
	}
	return keys, nil
}

func number(text string) (*big.Int, error) {
	bytes, err := base64.RawURLEncoding.DecodeString(text)
	return new(big.Int).SetBytes(bytes), err
}
