// Package apikey is the format of an API key: sluice_PREFIX_SECRETCHECKSUM.
//
// The brand lets scanners of leaked secrets find a key. The prefix identifies it in lookups and on screens. The
// checksum detects a typo without a lookup. The format follows GitHub's
// (https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/). Parse returns
// ErrMalformed for all other text. Printing a Key does not show its secret.
package apikey

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"hash/crc32"
	"strings"
)

const (
	brand          = "sluice_"
	prefixLength   = 8  // 47 bits
	secretLength   = 32 // 190 bits
	checksumLength = 6  // 62^6 > 2^32

	bodyLength = len(brand) + prefixLength + 1 + secretLength

	// Length is in bytes.
	Length = bodyLength + checksumLength
)

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// Key is an API key with its secret, from New or Parse.
type Key struct {
	prefix string
	secret string
}

// ErrMalformed is the error of text that is not an API key.
var ErrMalformed = errors.New("not an API key")

// New returns a random key.
func New() Key {
	return Key{prefix: random(prefixLength), secret: random(secretLength)}
}

// Parse parses a key, or returns ErrMalformed.
func Parse(text string) (Key, error) {
	if len(text) != Length || !strings.HasPrefix(text, brand) {
		return Key{}, ErrMalformed
	}
	prefix, rest := text[len(brand):len(brand)+prefixLength], text[len(brand)+prefixLength:]
	secret := rest[1 : 1+secretLength]
	if rest[0] != '_' || strings.Trim(prefix, alphabet) != "" || strings.Trim(secret, alphabet) != "" {
		return Key{}, ErrMalformed
	}
	if checksum(text[:bodyLength]) != text[bodyLength:] {
		return Key{}, ErrMalformed
	}
	return Key{prefix: prefix, secret: secret}, nil
}

// Prefix returns the public part, for lookups.
func (k Key) Prefix() string { return k.prefix }

// Hash returns the SHA-256 of the secret, which is stored and compared in constant time.
func (k Key) Hash() [sha256.Size]byte { return sha256.Sum256([]byte(k.secret)) }

// Reveal returns the whole key, for its owner only.
func (k Key) Reveal() string {
	body := brand + k.prefix + "_" + k.secret
	return body + checksum(body)
}

// String returns the key without its secret.
func (k Key) String() string { return brand + k.prefix + "_…" }

// GoString is String, for %#v.
func (k Key) GoString() string { return k.String() }

func checksum(body string) string {
	sum := crc32.ChecksumIEEE([]byte(body))
	var out [checksumLength]byte
	for i := len(out) - 1; i >= 0; i-- {
		out[i] = alphabet[sum%uint32(len(alphabet))]
		sum /= uint32(len(alphabet))
	}
	return string(out[:])
}

// random returns uniform random characters: it drops bytes above the largest multiple of the alphabet's size.
func random(length int) string {
	const fair = 256 / len(alphabet) * len(alphabet)
	out := make([]byte, 0, length)
	var drawn [2 * secretLength]byte
	for len(out) < length {
		_, _ = rand.Read(drawn[:]) // never fails: see crypto/rand
		for _, b := range drawn {
			if int(b) < fair && len(out) < length {
				out = append(out, alphabet[int(b)%len(alphabet)])
			}
		}
	}
	return string(out)
}
