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

	mu      sync.Mutex
	keys    map[string]*rsa.PublicKey
	readAt  time.Time
	triedAt time.Time // when reading was last tried, in vain or not
}

func newKeySet(accounts bff.Accounts, clk clock.Clock) *keySet {
	return &keySet{accounts: accounts, clock: clk}
}

func (s *keySet) find(ctx context.Context, kid string) (*rsa.PublicKey, error) {
	key, age, tried := s.known(kid)
	if key != nil && (age < keysFresh || tried < keysReread) {
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
	if key, _, _ = s.known(kid); key == nil {
		return nil, fmt.Errorf("no key %.80q", kid)
	}
	return key, nil
}

// known also tells how long ago the keys were read, and were tried to be read.
func (s *keySet) known(kid string) (key *rsa.PublicKey, age, tried time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	return s.keys[kid], now.Sub(s.readAt), now.Sub(s.triedAt)
}

func (s *keySet) keep(keys map[string]*rsa.PublicKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.triedAt = s.clock.Now()
	if keys != nil {
		s.keys, s.readAt = keys, s.triedAt
	}
}

// read asks once for all who wait; one caller that goes away does not end it for the others.
func (s *keySet) read(ctx context.Context) error {
	_, err, _ := s.flight.Do("", func() (any, error) {
		keys, err := s.ask(context.WithoutCancel(ctx))
		s.keep(keys)
		return nil, err
	})
	if err != nil {
		return errs.From(err)
	}
	return nil
}

func (s *keySet) ask(ctx context.Context) (map[string]*rsa.PublicKey, error) {
	set, err := s.accounts.KeySet(ctx)
	if err != nil {
		return nil, err
	}
	return parseKeySet(set)
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
		n, nErr := number(k.N)
		e, eErr := number(k.E)
		if nErr != nil || eErr != nil || n.BitLen() < 2048 || e.BitLen() < 2 || e.BitLen() > 31 {
			return nil, fmt.Errorf("key %.80q of the set is no RSA key of 2048 bits or more", k.Kid)
		}
		keys[k.Kid] = &rsa.PublicKey{N: n, E: int(e.Int64())}
	}
	return keys, nil
}

func number(text string) (*big.Int, error) {
	bytes, err := base64.RawURLEncoding.DecodeString(text)
	return new(big.Int).SetBytes(bytes), err
}
