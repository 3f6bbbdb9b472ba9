// Package idempotency says which creating calls are repeats of one another.
//
// A caller who does not know whether a call arrived sends it again with the same key. A store keeps
// the key with the write, for Retention, and answers a repeat with the first result; the same key
// with another input is refused.
package idempotency

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/input"
)

// Retention is how long a key is remembered.
const Retention = 24 * time.Hour

// MaxKeyLength bounds what a caller may send as a key, in bytes.
const MaxKeyLength = 200

// Key is one caller's key for one call. The zero Key stands for a call without one.
type Key struct {
	Caller      string // whose key it is: keys of different callers never meet
	Value       string // what the caller sent
	Fingerprint string // of the method and its input: tells a repeat from another call
}

// NewKey makes the Key of a call by the caller in ctx. An empty value gives the zero Key; a value
// that is too long or no text is INVALID_ARGUMENT. The request is what the call asks for: two that
// are the same as JSON are repeats.
func NewKey(ctx context.Context, value, method string, request any) (Key, error) {
	if value == "" {
		return Key{}, nil
	}
	if err := input.Key("idempotencyKey", value, MaxKeyLength); err != nil {
		return Key{}, err
	}
	canonical, err := json.Marshal(request)
	if err != nil {
		return Key{}, fmt.Errorf("write the request of an idempotency key: %w", err)
	}
	hash := sha256.New()
	hash.Write([]byte(method))
	hash.Write([]byte{0})
	hash.Write(canonical)
	return Key{Caller: caller.FromContext(ctx).Name(), Value: value, Fingerprint: hex.EncodeToString(hash.Sum(nil))}, nil
}

// Zero tells whether the call came without a key.
func (k Key) Zero() bool { return k.Value == "" }
