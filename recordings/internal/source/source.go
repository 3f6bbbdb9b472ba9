// Package source opens the text of recordings for all readers. It refuses text that is not UTF-8, and bounds the size
// of one element.
package source

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// MaxElement bounds one element (a row, a point), in bytes.
const MaxElement = 1 << 20

// peekSize is the size of the buffer for format detection.
const peekSize = 64 << 10

// Errors of a whole file.
var (
	ErrTooLong = fmt.Errorf("one element takes more than %d bytes", MaxElement)
	ErrEmpty   = errors.New("the file is empty")
)

var unreadable = []struct {
	magic  string
	reason string
}{
	{"\xff\xfe", "the file is UTF-16: save it as UTF-8"},
	{"\xfe\xff", "the file is UTF-16: save it as UTF-8"},
	{"\x1f\x8b", "the file is compressed by gzip: decompress it first"},
	{"PK\x03\x04", "the file is a ZIP archive or a spreadsheet: unpack it, or save it as CSV"},
}

const byteOrderMark = "\xef\xbb\xbf"

// Open checks the first bytes of r and skips a byte-order mark. Empty or non-UTF-8 content is an error.
func Open(r io.Reader) (*bufio.Reader, error) {
	in := bufio.NewReaderSize(r, peekSize)
	head, err := Peek(in)
	if err != nil {
		return nil, err
	}
	if len(head) == 0 {
		return nil, ErrEmpty
	}
	for _, u := range unreadable {
		if bytes.HasPrefix(head, []byte(u.magic)) {
			return nil, errors.New(u.reason)
		}
	}
	if bytes.IndexByte(head, 0) >= 0 {
		return nil, errors.New("the file holds zero bytes, so it is not text in UTF-8")
	}
	if bytes.HasPrefix(head, []byte(byteOrderMark)) {
		_, err = in.Discard(len(byteOrderMark)) // cannot fail: they are buffered
	}
	return in, err
}

// Peek returns the next bytes of in, up to 64 KiB, without consuming them.
func Peek(in *bufio.Reader) ([]byte, error) {
	head, err := in.Peek(peekSize)
	if err != nil && err != io.EOF {
		return nil, err
	}
	return head, nil
}

// First returns the first byte that is not white space, or 0.
func First(in *bufio.Reader) (byte, error) {
	head, err := Peek(in)
	if err != nil {
		return 0, err
	}
	if head = bytes.TrimLeft(head, " \t\r\n"); len(head) == 0 {
		return 0, nil
	}
	return head[0], nil
}

// Bounded returns ErrTooLong if more than MaxElement bytes are read between two calls of Next. It limits decoders
// that buffer a whole element.
type Bounded struct {
	in   *bufio.Reader
	left int
}

// NewBounded returns a Bounded reader of in.
func NewBounded(in *bufio.Reader) *Bounded {
	return &Bounded{in: in, left: MaxElement}
}

// Next starts the next element.
func (b *Bounded) Next() { b.left = MaxElement }

// Read implements io.Reader.
func (b *Bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, ErrTooLong
	}
	n, err := b.in.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// ReadByte implements io.ByteReader, so that an XML decoder does not read ahead.
func (b *Bounded) ReadByte() (byte, error) {
	if b.left <= 0 {
		return 0, ErrTooLong
	}
	b.left--
	return b.in.ReadByte()
}
