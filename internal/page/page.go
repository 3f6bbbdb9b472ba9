// Package page cuts long lists into pages by keyset: a page starts after the last row of the one
// before, found by its sort key and id, so that a page costs the same wherever it lies and rows
// that come or go in between neither repeat nor vanish.
package page

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
)

// Default and Max bound how many items a page has.
const (
	Default = 20
	Max     = 1000
)

// Request asks for a page.
type Request struct {
	First     int    // how many items at most; 0 means Default
	After     string // the cursor of the item before the page; "" for the first page
	WithTotal bool   // whether to count all items too
}

// Size is how many items the page may have; out of 0..Max is INVALID_ARGUMENT.
func (r Request) Size() (int, error) {
	switch {
	case r.First == 0:
		return Default, nil
	case r.First < 0 || r.First > Max:
		return 0, errs.Invalid("first", "must be between 1 and %d", Max)
	}
	return r.First, nil
}

// Page is a stretch of a list.
type Page[T any] struct {
	Items   []T
	Cursors []string // one an item
	HasNext bool
	Total   *int64 // only when asked for
}

// Cut makes a Page of rows that were read with one row too many, to learn whether more follow.
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

// Empty is the page of a list of nothing.
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

// BadCursor says that a cursor was not made by the list that it was sent to.
func BadCursor() *errs.Error { return errs.Invalid("after", "is not a cursor of this list") }

// Cursor is a place in a list: the sort key and the id of an item, under the order they belong to.
type Cursor struct {
	Order string // the list's order; a cursor of another order is BadCursor()
	Key   string // the item's sort key, as text
	ID    string
}

// AtTime is the place of an item that sorts by time.
func AtTime(order string, at time.Time, id string) Cursor {
	return Cursor{Order: order, Key: strconv.FormatInt(at.UnixMicro(), 10), ID: id}
}

// Micros is the sort key of a cursor made by AtTime, in microseconds since 1970.
func (c Cursor) Micros() (int64, error) {
	at, err := strconv.ParseInt(c.Key, 10, 64)
	if err != nil {
		return 0, BadCursor()
	}
	return at, nil
}

// String is the cursor as callers hold it: opaque.
func (c Cursor) String() string {
	return base64.RawURLEncoding.EncodeToString([]byte(c.Order + "\x00" + c.Key + "\x00" + c.ID))
}

// maxCursor bounds what is decoded, in bytes.
const maxCursor = 1024

// ParseCursor reads what String wrote for the same order; anything else is INVALID_ARGUMENT. The
// empty string is no cursor: ok is false.
func ParseCursor(order, text string) (c Cursor, ok bool, err error) {
	if text == "" {
		return Cursor{}, false, nil
	}
	if len(text) > maxCursor {
		return Cursor{}, false, BadCursor()
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return Cursor{}, false, BadCursor()
	}
	parts := strings.Split(string(raw), "\x00")
	if len(parts) != 3 || parts[0] != order || parts[2] == "" {
		return Cursor{}, false, BadCursor()
	}
	return Cursor{Order: parts[0], Key: parts[1], ID: parts[2]}, true, nil
}
