// Package idempotency identifies retries. A client that does not know whether its call arrived retries it with the
// same idempotency key. The store stores the key in the transaction of the write, and replays the first result for a
// retry within Retention. The same key with other input is refused: IDEMPOTENCY_KEY_REUSED.
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

// Retention is the TTL of a key.
const Retention = 24 * time.Hour

// MaxKeyLength is in bytes.
const MaxKeyLength = 200

// Key is the idempotency key of one call; the zero Key is none.
type Key struct {
	Caller      string // the owner: keys of different callers are distinct
	AccountID   string // of the caller: the result uses its storage
	Value       string // as the client sent it
	Fingerprint string // hash of the method and its input
}

// NewKey returns the Key of a call by the caller of the context; the zero Key for an empty value. A value that is too
// long or not one line is INVALID_ARGUMENT. Requests that are equal as JSON have equal fingerprints.
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
	who := caller.FromContext(ctx)
	return Key{Caller: who.Name(), AccountID: who.AccountID, Value: value, Fingerprint: hex.EncodeToString(hash.Sum(nil))}, nil
}

// Zero reports whether the call has no key.
func (k Key) Zero() bool { return k.Value == "" }
