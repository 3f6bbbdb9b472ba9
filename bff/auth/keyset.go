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

// Keys are read again when they are old, and when a token names one that is not known, but not more
// often than that: strangers name keys that do not exist.
const (
	keysFresh  = 10 * time.Minute
	keysReread = 10 * time.Second
)

// keySet is the account service's public keys.
type keySet struct {
	accounts bff.Accounts
	clock    clock.Clock
	flight   singleflight.Group

	mu     sync.Mutex
	keys   map[string]*rsa.PublicKey
	readAt time.Time
}

func newKeySet(accounts bff.Accounts, clk clock.Clock) *keySet {
	return &keySet{accounts: accounts, clock: clk}
}

func (s *keySet) find(ctx context.Context, kid string) (*rsa.PublicKey, error) {
	key, age := s.known(kid)
	if key != nil && age < keysFresh {
		return key, nil
	}
	if key == nil && age < keysReread {
		return nil, fmt.Errorf("no key %.80q", kid)
	}
	if err := s.read(ctx); err != nil {
		if key != nil {
			return key, nil // an old key beats none while the account service is away
		}
		return nil, err
	}
	if key, _ = s.known(kid); key == nil {
		return nil, fmt.Errorf("no key %.80q", kid)
	}
	return key, nil
}

func (s *keySet) known(kid string) (key *rsa.PublicKey, age time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys[kid], s.clock.Now().Sub(s.readAt)
}

// read asks once for all who wait; one caller that goes away does not end it for the others.
func (s *keySet) read(ctx context.Context) error {
	_, err, _ := s.flight.Do("", func() (any, error) {
		set, err := s.accounts.KeySet(context.WithoutCancel(ctx))
		if err != nil {
			return nil, err
		}
		keys, err := parseKeySet(set)
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.keys, s.readAt = keys, s.clock.Now()
		return nil, nil
	})
	if err != nil {
		return errs.From(err)
	}
	return nil
}

// parseKeySet reads the RSA keys of a JWK set (RFC 7517, RFC 7518 section 6.3).
func parseKeySet(text []byte) (map[string]*rsa.PublicKey, error) {
	var set struct {
		Keys []struct{ Kty, Kid, N, E string } `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("read the key set: %w", err)
	}
	keys := make(map[string]*rsa.PublicKey, len(set.Keys))
	for _, k := range set.Keys {
		if k.Kty != "RSA" {
			continue
		}
		n, nErr := base64.RawURLEncoding.DecodeString(k.N)
		e, eErr := base64.RawURLEncoding.DecodeString(k.E)
		if nErr != nil || eErr != nil || len(n) < 256 || len(e) == 0 || len(e) > 4 {
			return nil, fmt.Errorf("key %.80q of the set is no RSA key of 2048 bits or more", k.Kid)
		}
		keys[k.Kid] = &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	}
	return keys, nil
}
