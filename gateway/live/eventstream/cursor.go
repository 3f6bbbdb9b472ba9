package eventstream

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
)

// A cursor is a version, the stream that it belongs to, a sequence in it, and the first bytes of
// their HMAC-SHA256, in base64: opaque, and good on every gateway that shares the key.
const (
	cursorVersion = 1
	cursorBody    = 1 + 4 + 8
	cursorMAC     = 10
	cursorLength  = (cursorBody + cursorMAC) * 8 / 6 // 23 bytes are 31 letters
)

// Cursors makes and reads the cursors of a stream.
type Cursors struct{ key []byte }

// NewCursors derives the key of cursors from the secret, so that the secret may serve others too.
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

// Position is where a cursor points.
type Position struct {
	Epoch    uint32 // which stream: see epochOf
	Sequence uint64 // of the last event that was seen
}

// epochOf tells a stream from one that was made anew under its name, whose sequences start over.
func epochOf(created time.Time) uint32 {
	n := uint64(created.UnixNano())
	return uint32(n>>32) ^ uint32(n)
}

func (c *Cursors) Write(p Position) string {
	raw := make([]byte, cursorBody, cursorBody+sha256.Size)
	raw[0] = cursorVersion
	binary.BigEndian.PutUint32(raw[1:], p.Epoch)
	binary.BigEndian.PutUint64(raw[5:], p.Sequence)
	mac := hmac.New(sha256.New, c.key)
	mac.Write(raw)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(raw)[:cursorBody+cursorMAC])
}

func (c *Cursors) Read(cursor string) (Position, error) {
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

// InvalidCursor refuses a cursor.
func InvalidCursor() *errs.Error {
	return errs.New(errs.InvalidArgument, "CURSOR_INVALID", "the cursor to resume after is none of ours: subscribe without it")
}

const secretBytes = 32

// KeptSecret gives the secret of cursors that is kept in the file, and makes it when there is none.
// It serves one gateway; several need a secret that they share.
func KeptSecret(path string) ([]byte, error) {
	secret, err := os.ReadFile(path)
	if err == nil && len(secret) >= secretBytes {
		return secret, nil
	}
	if err == nil {
		return nil, fmt.Errorf("the key of cursors in %s is cut off: remove the file", path)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the key of cursors: %w", err)
	}
	secret = make([]byte, secretBytes)
	_, _ = rand.Read(secret) // never fails
	if err := writeSecret(path, secret); err != nil {
		return nil, fmt.Errorf("keep the key of cursors: %w", err)
	}
	return secret, nil
}

// writeSecret leaves the whole file or none.
func writeSecret(path string, secret []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".cursor-") // readable by its owner alone
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }()
	_, err = file.Write(secret)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}
