// Package signing signs access tokens with RSA keys in a folder, and publishes the public keys.
//
// The folder (mode 0700) has one file per key (mode 0600): 0001.pem, 0002.pem, …, a PKCS #8 private key in PEM. The
// key with the highest number signs; all keys are published. Open creates the first key. To rotate keys, call AddKey
// and restart; delete the old file after the tokens under it have expired, or first, which ends every sign-in.
//
// A file that other users can read, or that is not such a key, is an error at the start.
package signing

import (
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sluicehq/sluice/services/account"
)

// Keys are the keys of a folder, immutable after Open.
type Keys struct {
	newest key
	set    []byte
}

var _ account.Signer = (*Keys)(nil)

type key struct {
	id      string // kid: the RFC 7638 thumbprint
	private *rsa.PrivateKey
}

// Open reads the keys of the folder. It creates the folder and the first key if necessary.
func Open(folder string) (*Keys, error) {
	keys, err := openFolder(folder)
	if err != nil {
		return nil, err
	}
	set, err := keySet(keys)
	if err != nil {
		return nil, err
	}
	return &Keys{newest: keys[len(keys)-1], set: set}, nil
}

// tokenClaims are account.Claims with the names of a JWT.
type tokenClaims struct {
	jwt.RegisteredClaims
	SessionID  string `json:"sid"`
	Generation int64  `json:"gen"`
	Role       string `json:"role"`
}

// Sign encodes the claims as a JWT (RFC 7519), signed by the newest key with RS256.
func (k *Keys) Sign(claims account.Claims) (string, error) {
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, tokenClaims{
		RegisteredClaims: jwt.RegisteredClaims{
			ID: claims.ID, Issuer: claims.Issuer, Audience: jwt.ClaimStrings{claims.Audience}, Subject: claims.AccountID,
			IssuedAt: jwt.NewNumericDate(claims.IssuedAt), ExpiresAt: jwt.NewNumericDate(claims.ExpiresAt),
		},
		SessionID: claims.SessionID, Generation: claims.Generation, Role: string(claims.Role),
	})
	token.Header["kid"] = k.newest.id
	signed, err := token.SignedString(k.newest.private)
	if err != nil {
		return "", fmt.Errorf("sign with key %s: %w", k.newest.id, err)
	}
	return signed, nil
}

// KeySet returns the public keys as a JWK set, the newest first.
func (k *Keys) KeySet() []byte { return k.set }

// jwk is an RSA public key for signatures: RFC 7517 section 4 and RFC 7518 section 6.3.1.
type jwk struct {
	Type      string `json:"kty"`
	Use       string `json:"use"`
	Algorithm string `json:"alg"`
	ID        string `json:"kid"`
	Modulus   string `json:"n"`
	Exponent  string `json:"e"`
}

func keySet(keys []key) ([]byte, error) {
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
