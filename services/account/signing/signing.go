// Package signing signs access tokens with RSA keys, and publishes the public keys.
//
// The keys are rows of a Store that all processes of the account service share, so each of them verifies the tokens of
// the others. Open creates the first key. A new key is published for PublishLead before it signs, because gateways and
// clients cache the key set. A key that has been replaced is published until its last token has expired, and is then
// deleted. Earlier versions stored the keys as files of a folder: Open moves them into the store.
//
// While the store is away, the keys that were read last go on signing.
package signing

import (
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/worker"
	"github.com/sluicehq/sluice/services/account"
)

const (
	// PublishLead is longer than any cache of the key set, and than refreshInterval.
	PublishLead = time.Hour

	refreshInterval = 30 * time.Second
)

// StoredKey is a row of a Store.
type StoredKey struct {
	Number    int64  // the order of the keys, from 1
	ID        string // kid: the RFC 7638 thumbprint
	PEM       string // PKCS #8; secret
	SignsFrom time.Time
}

// Store has the keys of all processes.
type Store interface {
	// SigningKeys returns all keys, the oldest first.
	SigningKeys(ctx context.Context) ([]StoredKey, error)
	// AddSigningKey adds a key. It adds nothing when the number or the id is taken.
	AddSigningKey(ctx context.Context, key StoredKey) (added bool, err error)
	// DeleteSigningKey deletes the key with the number.
	DeleteSigningKey(ctx context.Context, number int64) error
}

// Options configure Keys.
type Options struct {
	Clock    clock.Clock   // default clock.System
	Rotation time.Duration // between two keys; 0 rotates by Rotate only
	TokenTTL time.Duration // of the tokens; default account.DefaultAccessTTL
	Folder   string        // of the key files of earlier versions; "" for none
}

// Keys are the keys of a store. They are safe for concurrent use.
type Keys struct {
	store   Store
	options Options
	ring    atomic.Pointer[ring]
}

var _ account.Signer = (*Keys)(nil)

// ring is the keys at one time, the oldest first.
type ring struct {
	keys []key
	set  []byte // the public keys as a JWK set
}

type key struct {
	id        string
	private   *rsa.PrivateKey
	signsFrom time.Time
}

// Open reads the keys of the store. It creates the first key if necessary.
func Open(ctx context.Context, store Store, options Options) (*Keys, error) {
	if options.Clock == nil {
		options.Clock = clock.System{}
	}
	if options.TokenTTL == 0 {
		options.TokenTTL = account.DefaultAccessTTL
	}
	k := &Keys{store: store, options: options}
	if err := k.moveFolder(ctx); err != nil {
		return nil, err
	}
	stored, err := store.SigningKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the signing keys: %w", err)
	}
	if len(stored) == 0 {
		if _, err := k.add(ctx, 1, options.Clock.Now()); err != nil {
			return nil, err
		}
	}
	return k, k.refresh(ctx)
}

// Loop reads the keys of other processes, rotates the newest key when it is old, and deletes replaced ones.
func (k *Keys) Loop() worker.Loop {
	return worker.Loop{Name: "signing keys", Pass: k.upkeep, Interval: refreshInterval}
}

func (k *Keys) upkeep(ctx context.Context) error {
	stored, err := k.store.SigningKeys(ctx)
	if err != nil {
		return fmt.Errorf("read the signing keys: %w", err)
	}
	now, last := k.options.Clock.Now(), len(stored)-1
	if k.options.Rotation > 0 && last >= 0 && now.Sub(stored[last].SignsFrom) >= k.options.Rotation {
		if _, err := k.add(ctx, stored[last].Number+1, now.Add(PublishLead)); err != nil {
			return err
		}
	}
	for i := range last {
		if now.Sub(stored[i+1].SignsFrom) < k.options.TokenTTL+PublishLead {
			break
		}
		if err := k.store.DeleteSigningKey(ctx, stored[i].Number); err != nil {
			return fmt.Errorf("delete the signing key %s: %w", stored[i].ID, err)
		}
	}
	return k.refresh(ctx)
}

// Rotate adds a key and returns its kid. It signs after PublishLead.
func (k *Keys) Rotate(ctx context.Context) (kid string, err error) {
	stored, err := k.store.SigningKeys(ctx)
	if err != nil {
		return "", fmt.Errorf("read the signing keys: %w", err)
	}
	next := int64(1)
	if len(stored) > 0 {
		next = stored[len(stored)-1].Number + 1
	}
	if kid, err = k.add(ctx, next, k.options.Clock.Now().Add(PublishLead)); err != nil {
		return "", err
	}
	return kid, k.refresh(ctx)
}

// add adds a new key under the number, unless another process was first.
func (k *Keys) add(ctx context.Context, number int64, signsFrom time.Time) (kid string, err error) {
	created, err := newKey()
	if err != nil {
		return "", err
	}
	created.Number, created.SignsFrom = number, signsFrom
	if _, err := k.store.AddSigningKey(ctx, created); err != nil {
		return "", fmt.Errorf("store a signing key: %w", err)
	}
	return created.ID, nil
}

func (k *Keys) refresh(ctx context.Context) error {
	stored, err := k.store.SigningKeys(ctx)
	if err != nil {
		return fmt.Errorf("read the signing keys: %w", err)
	}
	next := &ring{keys: make([]key, len(stored))}
	for i, s := range stored {
		private, err := parseKey([]byte(s.PEM))
		if err != nil {
			return fmt.Errorf("the signing key %s %w", s.ID, err)
		}
		next.keys[i] = key{id: s.ID, private: private, signsFrom: s.SignsFrom}
	}
	if next.set, err = encodeSet(next.keys); err != nil {
		return err
	}
	k.ring.Store(next)
	return nil
}

// current returns the newest key that may sign.
func (r *ring) current(now time.Time) key {
	for i := len(r.keys) - 1; i > 0; i-- {
		if !r.keys[i].signsFrom.After(now) {
			return r.keys[i]
		}
	}
	return r.keys[0]
}

// Info describes a key to an operator.
type Info struct {
	ID        string
	SignsFrom time.Time
	Signs     bool
}

// List returns all keys, the oldest first.
func (k *Keys) List() []Info {
	ring := k.ring.Load()
	current := ring.current(k.options.Clock.Now())
	list := make([]Info, len(ring.keys))
	for i, key := range ring.keys {
		list[i] = Info{ID: key.id, SignsFrom: key.signsFrom, Signs: key.id == current.id}
	}
	return list
}

// tokenClaims are account.Claims with the names of a JWT.
type tokenClaims struct {
	jwt.RegisteredClaims
	SessionID  string `json:"sid"`
	Generation int64  `json:"gen"`
	Role       string `json:"role"`
}

// Sign encodes the claims as a JWT (RFC 7519), signed with RS256.
func (k *Keys) Sign(claims account.Claims) (string, error) {
	key := k.ring.Load().current(k.options.Clock.Now())
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, tokenClaims{
		RegisteredClaims: jwt.RegisteredClaims{
			ID: claims.ID, Issuer: claims.Issuer, Audience: jwt.ClaimStrings{claims.Audience}, Subject: claims.AccountID,
			IssuedAt: jwt.NewNumericDate(claims.IssuedAt), ExpiresAt: jwt.NewNumericDate(claims.ExpiresAt),
		},
		SessionID: claims.SessionID, Generation: claims.Generation, Role: string(claims.Role),
	})
	token.Header["kid"] = key.id
	signed, err := token.SignedString(key.private)
	if err != nil {
		return "", fmt.Errorf("sign with key %s: %w", key.id, err)
	}
	return signed, nil
}

// KeySet returns the public keys as a JWK set, the newest first.
func (k *Keys) KeySet() []byte { return k.ring.Load().set }

// jwk is an RSA public key for signatures: RFC 7517 section 4 and RFC 7518 section 6.3.1.
type jwk struct {
	Type      string `json:"kty"`
	Use       string `json:"use"`
	Algorithm string `json:"alg"`
	ID        string `json:"kid"`
	Modulus   string `json:"n"`
	Exponent  string `json:"e"`
}

func encodeSet(keys []key) ([]byte, error) {
	set := struct {
		Keys []jwk `json:"keys"`
	}{Keys: make([]jwk, len(keys))}
	for i, k := range keys {
		n, e := parts(&k.private.PublicKey)
		set.Keys[len(keys)-1-i] = jwk{Type: "RSA", Use: "sig", Algorithm: "RS256", ID: k.id, Modulus: n, Exponent: e}
	}
	encoded, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("write the key set: %w", err)
	}
	return encoded, nil
}

// Thumbprint returns the RFC 7638 thumbprint of a public key, with SHA-256.
func Thumbprint(public *rsa.PublicKey) string {
	n, e := parts(public)
	digest := sha256.Sum256(fmt.Appendf(nil, `{"e":"%s","kty":"RSA","n":"%s"}`, e, n))
	return base64.RawURLEncoding.EncodeToString(digest[:])
}

// parts encodes a public key for a JWK (RFC 7518 section 2, Base64urlUInt).
func parts(public *rsa.PublicKey) (modulus, exponent string) {
	return base64.RawURLEncoding.EncodeToString(public.N.Bytes()),
		base64.RawURLEncoding.EncodeToString(big.NewInt(int64(public.E)).Bytes())
}
