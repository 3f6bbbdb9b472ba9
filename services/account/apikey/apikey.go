// Package apikey is the form of an API key: sluice_PREFIX_SECRETCHECKSUM.
//
// The name in front lets scanners of leaked secrets find it, the prefix is what it is looked up and
// shown by, and the checksum tells a typo without a look-up. The form follows GitHub's
// (https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/).
// It promises that New's keys read back, that nothing else does, and that printing a Key does not
// show its secret.
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

	// Length of an API key, in bytes.
	Length = bodyLength + checksumLength
)

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// Key is an API key as its owner holds it. Make it with New or Parse.
type Key struct {
	prefix string
	secret string
}

// ErrMalformed says that a text is not an API key.
var ErrMalformed = errors.New("not an API key")

// New makes a key that nobody can guess.
func New() Key {
	return Key{prefix: random(prefixLength), secret: random(secretLength)}
}

// Parse reads a key. Whatever New cannot have made is ErrMalformed.
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

// Prefix is the part that may be shown, and that the key is looked up by.
func (k Key) Prefix() string { return k.prefix }

// Hash is the SHA-256 of the secret: what to keep of it, and to compare in constant time.
func (k Key) Hash() [sha256.Size]byte { return sha256.Sum256([]byte(k.secret)) }

// Reveal is the whole key, for its owner only.
func (k Key) Reveal() string {
	body := brand + k.prefix + "_" + k.secret
	return body + checksum(body)
}

// String is the key without its secret, so that a log line gives nothing away.
func (k Key) String() string { return brand + k.prefix + "_…" }

// GoString is String, for %#v.
func (k Key) GoString() string { return k.String() }

// checksum is the CRC-32 (IEEE) of the body in base 62.
func checksum(body string) string {
	sum := crc32.ChecksumIEEE([]byte(body))
	var out [checksumLength]byte
	for i := len(out) - 1; i >= 0; i-- {
		out[i] = alphabet[sum%uint32(len(alphabet))]
		sum /= uint32(len(alphabet))
	}
	return string(out[:])
}

// random draws letters, each as likely as any other: bytes beyond the last whole multiple of the
// alphabet's size are thrown away.
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
