// Package seal encrypts secrets that a service must read again, such as the credentials of webhooks, with keys that all
// processes of the service share.
//
// A sealed text names the key that it is sealed under, so that keys can be rotated: the first key seals, and every key
// opens. It is bound to its place, for example the id of its row: moved to another place it does not open. Secrets that
// only need a comparison are hashed instead, and never come here.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// MinKeyBytes is the least length of the text of a key.
const MinKeyBytes = 32

// prefix starts a sealed text: AES-256-GCM with a random nonce, version 1.
const prefix = "sealed1:"

// Mask is shown instead of a secret.
const Mask = "********"

// ErrUnknownKey is the error of a text that is sealed under a key that is not there.
var ErrUnknownKey = errors.New("it is sealed under a key that is not in the setting sealing_keys, nor in the data folder")

// errDamaged is the error of a text that was changed or moved.
var errDamaged = errors.New("the sealed text was changed, or belongs to another place")

// Keys seals and opens. It is safe for concurrent use.
type Keys struct{ keys []key }

type key struct {
	id     string // public: 16 hexadecimal digits
	aead   cipher.AEAD
	derive []byte
}

// New returns the keys of the texts: the first one seals, all open.
func New(texts ...string) (*Keys, error) {
	if len(texts) == 0 {
		return nil, errors.New("there is no sealing key")
	}
	keys := make([]key, len(texts))
	for i, text := range texts {
		if len(text) < MinKeyBytes {
			return nil, fmt.Errorf("a sealing key has at least %d bytes, key %d has %d", MinKeyBytes, i+1, len(text))
		}
		var err error
		if keys[i], err = newKey(text); err != nil {
			return nil, err
		}
	}
	return &Keys{keys}, nil
}

// Parse returns the keys of a setting, which are separated by commas or white space.
func Parse(setting string) (*Keys, error) {
	return New(strings.FieldsFunc(setting, func(r rune) bool { return strings.ContainsRune(", \t\r\n", r) })...)
}

func newKey(text string) (key, error) {
	var parts [3][]byte
	for i, use := range []string{"sluice seal", "sluice derive", "sluice key id"} {
		part, err := hkdf.Key(sha256.New, []byte(text), nil, use, 32)
		if err != nil {
			return key{}, fmt.Errorf("derive a sealing key: %w", err)
		}
		parts[i] = part
	}
	block, err := aes.NewCipher(parts[0])
	if err != nil {
		return key{}, fmt.Errorf("make the cipher: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return key{}, fmt.Errorf("make the cipher: %w", err)
	}
	return key{id: hex.EncodeToString(parts[2][:8]), aead: aead, derive: parts[1]}, nil
}

// Seal returns the text sealed for the place.
func (k *Keys) Seal(place, text string) string {
	first := k.keys[0]
	sealed := first.aead.Seal(nil, nil, []byte(text), []byte(place))
	return prefix + first.id + ":" + base64.RawStdEncoding.EncodeToString(sealed)
}

// Open returns the text that was sealed for the place. Errors: ErrUnknownKey; damage.
func (k *Keys) Open(place, sealed string) (string, error) {
	rest, ok := strings.CutPrefix(sealed, prefix)
	id, encoded, _ := strings.Cut(rest, ":")
	if !ok {
		return "", errDamaged
	}
	raw, err := base64.RawStdEncoding.DecodeString(encoded)
	if err != nil {
		return "", errDamaged
	}
	for _, candidate := range k.keys {
		if candidate.id != id {
			continue
		}
		text, err := candidate.aead.Open(nil, nil, raw, []byte(place))
		if err != nil {
			return "", errDamaged
		}
		return string(text), nil
	}
	return "", ErrUnknownKey
}

// IsSealed reports whether the text has the form of a sealed one.
func IsSealed(text string) bool { return strings.HasPrefix(text, prefix) }

// Current reports whether the text is sealed under the key that seals now.
func (k *Keys) Current(sealed string) bool { return strings.HasPrefix(sealed, prefix+k.keys[0].id+":") }

// Derive returns a secret of 32 bytes that follows from the data, under each key, the first key first. Who does not
// have the key cannot compute it.
func (k *Keys) Derive(purpose string, data []byte) [][]byte {
	secrets := make([][]byte, len(k.keys))
	for i, key := range k.keys {
		mac := hmac.New(sha256.New, key.derive)
		mac.Write([]byte(purpose))
		mac.Write([]byte{0})
		mac.Write(data)
		secrets[i] = mac.Sum(nil)
	}
	return secrets
}
