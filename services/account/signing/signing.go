// Package signing signs access tokens with RSA keys that it keeps in a folder, and publishes their
// public halves.
//
// The folder (mode 0700) holds one file a key (mode 0600): 0001.pem, 0002.pem, …, each a PKCS #8
// private key in PEM. The highest number signs; all are published. The first key is made when there
// is none. To change keys, call AddKey and restart; once tokens under the old key have expired, its
// file may be deleted. To change them at once, which signs everybody out, delete the old file first.
//
// It promises that a private key never leaves the folder, and that a file which others can read, or
// which is no such key, stops the start with a word on what to do.
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

// Keys signs. It is safe for concurrent use, and does not change after Open.
type Keys struct {
	newest key
	set    []byte
}

var _ account.Signer = (*Keys)(nil)

type key struct {
	id      string // kid: the RFC 7638 thumbprint
	private *rsa.PrivateKey
}

// Open reads the keys of the folder, and makes the folder and the first key when there is none.
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

// tokenClaims are account.Claims as a JWT spells them.
type tokenClaims struct {
	jwt.RegisteredClaims
	SessionID string `json:"sid"`
	Role      string `json:"role"`
}

// Sign gives the claims as a JWT (RFC 7519) under the newest key, with RS256.
func (k *Keys) Sign(claims account.Claims) (string, error) {
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, tokenClaims{
		RegisteredClaims: jwt.RegisteredClaims{
			ID: claims.ID, Issuer: claims.Issuer, Audience: jwt.ClaimStrings{claims.Audience}, Subject: claims.AccountID,
			IssuedAt: jwt.NewNumericDate(claims.IssuedAt), ExpiresAt: jwt.NewNumericDate(claims.ExpiresAt),
		},
		SessionID: claims.SessionID, Role: string(claims.Role),
	})
	token.Header["kid"] = k.newest.id
	signed, err := token.SignedString(k.newest.private)
	if err != nil {
		return "", fmt.Errorf("sign with key %s: %w", k.newest.id, err)
	}
	return signed, nil
}

// KeySet is the public halves as a JWK set, the newest first.
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

// Thumbprint identifies a key by what it is: RFC 7638 with SHA-256.
func Thumbprint(public *rsa.PublicKey) string {
	n, e := parts(public)
	digest := sha256.Sum256(fmt.Appendf(nil, `{"e":"%s","kty":"RSA","n":"%s"}`, e, n))
	return base64.RawURLEncoding.EncodeToString(digest[:])
}

// parts are the numbers of a public key as JWK writes them: big-endian in base64url (RFC 7518
// section 2, Base64urlUInt).
func parts(public *rsa.PublicKey) (modulus, exponent string) {
	return base64.RawURLEncoding.EncodeToString(public.N.Bytes()),
		base64.RawURLEncoding.EncodeToString(big.NewInt(int64(public.E)).Bytes())
}
