// Package source is what every reader of recordings stands on: text that is
// known to be UTF-8, and a bound on how much of it one element may take.
package source

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// MaxElement is how many bytes one element (a row, a point) may take.
const MaxElement = 1 << 20

// peekSize is how much of a file is looked at to tell what it is.
const peekSize = 64 << 10

// Errors about a file as a whole.
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

// Open looks at the first bytes of r and skips a byte-order mark. It refuses an
// empty file and what is not text in UTF-8, with the reason.
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
		_, err = in.Discard(len(byteOrderMark)) // cannot fail: they were peeked
	}
	return in, err
}

// Peek gives what in holds next, up to 64 KiB, without taking it.
func Peek(in *bufio.Reader) ([]byte, error) {
	head, err := in.Peek(peekSize)
	if err != nil && err != io.EOF {
		return nil, err
	}
	return head, nil
}

// First is the first byte of in that is not white space, 0 if there is none.
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

// Bounded gives ErrTooLong when more than MaxElement bytes are read without a
// call of Next in between. It bounds decoders that read an element whole.
type Bounded struct {
	in   *bufio.Reader
	left int
}

// NewBounded bounds in.
func NewBounded(in *bufio.Reader) *Bounded {
	return &Bounded{in: in, left: MaxElement}
}

// Next begins the next element.
func (b *Bounded) Next() { b.left = MaxElement }

// Read is io.Reader.
func (b *Bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, ErrTooLong
	}
	n, err := b.in.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// ReadByte is io.ByteReader, by which an XML decoder does not read ahead.
func (b *Bounded) ReadByte() (byte, error) {
	if b.left <= 0 {
		return 0, ErrTooLong
	}
	b.left--
	return b.in.ReadByte()
}
