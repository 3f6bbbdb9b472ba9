package eventstream

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
)

// A cursor is a version, the epoch of the stream, a sequence in it, and the first bytes of their HMAC-SHA256, in
// base64. It is opaque to clients, and valid on every gateway with the key.
const (
	cursorVersion = 1
	cursorBody    = 1 + 4 + 8
	cursorMAC     = 10
	cursorLength  = (cursorBody + cursorMAC) * 8 / 6 // 23 bytes are 31 characters
)

// Cursors encodes and verifies the cursors of a stream.
type Cursors struct{ key []byte }

// NewCursors derives the key of cursors from the secret, which may have other uses.
func NewCursors(secret []byte) (*Cursors, error) {
	if len(secret) == 0 {
		return nil, errors.New("cursors need a secret")
	}
	key, err := hkdf.Key(sha256.New, secret, nil, "sluice live cursor", sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive the key of cursors: %w", err)
	}
	return &Cursors{key: key}, nil
}

// Position is the content of a cursor: an offset in one stream.
type Position struct {
	Epoch    uint32 // see epochOf
	Sequence uint64 // of the last event that the client received
}

// epochOf distinguishes a stream from a later one with the same name.
func epochOf(created time.Time) uint32 {
	n := uint64(created.UnixNano())
	return uint32(n>>32) ^ uint32(n)
}

// Encode returns the signed cursor of a position.
func (c *Cursors) Encode(p Position) string {
	raw := make([]byte, cursorBody, cursorBody+sha256.Size)
	raw[0] = cursorVersion
	binary.BigEndian.PutUint32(raw[1:], p.Epoch)
	binary.BigEndian.PutUint64(raw[5:], p.Sequence)
	mac := hmac.New(sha256.New, c.key)
	mac.Write(raw)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(raw)[:cursorBody+cursorMAC])
}

// Decode verifies a cursor and returns its position, or CURSOR_INVALID.
func (c *Cursors) Decode(cursor string) (Position, error) {
	if len(cursor) > 2*cursorLength {
		return Position{}, InvalidCursor()
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(raw) != cursorBody+cursorMAC || raw[0] != cursorVersion {
		return Position{}, InvalidCursor()
	}
	mac := hmac.New(sha256.New, c.key)
	mac.Write(raw[:cursorBody])
	if !hmac.Equal(mac.Sum(nil)[:cursorMAC], raw[cursorBody:]) {
		return Position{}, InvalidCursor()
	}
	return Position{Epoch: binary.BigEndian.Uint32(raw[1:]), Sequence: binary.BigEndian.Uint64(raw[5:])}, nil
}

// InvalidCursor returns the error of a cursor that no gateway with this key has issued.
func InvalidCursor() *errs.Error {
	return errs.New(errs.InvalidArgument, "CURSOR_INVALID", "the cursor to resume after is not valid here: subscribe without it")
}
