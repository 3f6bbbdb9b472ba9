// Package page pages through lists by keyset: a page starts after the last row of the previous page, found by sort
// key and id. The cost does not depend on the offset, and concurrent changes neither repeat nor hide other rows. A
// cursor of another list is INVALID_ARGUMENT.
package page

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
)

// Default and Max are the default and the largest size of a page.
const (
	Default = 20
	Max     = 1000
)

// Request requests one page.
type Request struct {
	First     int    // maximum items; 0 means Default
	After     string // a cursor; "" for the first page
	WithTotal bool   // count all items too
}

// Size returns the maximum number of items; INVALID_ARGUMENT outside 0..Max.
func (r Request) Size() (int, error) {
	switch {
	case r.First == 0:
		return Default, nil
	case r.First < 0 || r.First > Max:
		return 0, errs.Invalid("first", "must be between 1 and %d", Max)
	}
	return r.First, nil
}

// Page is one page of a list.
type Page[T any] struct {
	Items   []T
	Cursors []string // one for each item
	HasNext bool
	Total   *int64 // nil unless the request has WithTotal
}

// Cut returns the page of rows that were read with one extra row, which shows whether a next page exists.
func Cut[T any](rows []T, size int, cursorOf func(T) Cursor) Page[T] {
	p := Page[T]{Items: rows, HasNext: len(rows) > size}
	if p.HasNext {
		p.Items = rows[:size]
	}
	p.Cursors = make([]string, len(p.Items))
	for i, item := range p.Items {
		p.Cursors[i] = cursorOf(item).String()
	}
	return p
}

// Empty returns the page of an empty list.
func Empty[T any](request Request) (Page[T], error) {
	if _, err := request.Size(); err != nil {
		return Page[T]{}, err
	}
	var p Page[T]
	if request.WithTotal {
		p.Total = new(int64)
	}
	return p, nil
}

// InvalidCursor is the error of a cursor of another list.
func InvalidCursor() *errs.Error { return errs.Invalid("after", "is not a cursor of this list") }

// Cursor is the position of an item in a list: its sort key and id, under the name of the order.
type Cursor struct {
	Order string // ParseCursor refuses another one
	Key   string // of the item, as text
	ID    string
}

// AtTime returns the cursor of an item that is sorted by time.
func AtTime(order string, at time.Time, id string) Cursor {
	return Cursor{Order: order, Key: strconv.FormatInt(at.UnixMicro(), 10), ID: id}
}

// Micros returns the sort key of AtTime, in microseconds since 1970.
func (c Cursor) Micros() (int64, error) {
	at, err := strconv.ParseInt(c.Key, 10, 64)
	if err != nil {
		return 0, InvalidCursor()
	}
	return at, nil
}

// String encodes the cursor, which is opaque to clients.
func (c Cursor) String() string {
	return base64.RawURLEncoding.EncodeToString([]byte(c.Order + "\x00" + c.Key + "\x00" + c.ID))
}

const maxCursor = 1024

// ParseCursor decodes a cursor of the order; other input is INVALID_ARGUMENT. ok is false for "".
func ParseCursor(order, text string) (c Cursor, ok bool, err error) {
	if text == "" {
		return Cursor{}, false, nil
	}
	if len(text) > maxCursor {
		return Cursor{}, false, InvalidCursor()
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return Cursor{}, false, InvalidCursor()
	}
	parts := strings.Split(string(raw), "\x00")
	if len(parts) != 3 || parts[0] != order || parts[2] == "" {
		return Cursor{}, false, InvalidCursor()
	}
	return Cursor{Order: parts[0], Key: parts[1], ID: parts[2]}, true, nil
}
