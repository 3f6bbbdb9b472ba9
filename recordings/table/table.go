// Package table reads recordings that consist of rows: CSV with common delimiters, JSON arrays of objects, and
// streams of JSON objects. It detects the delimiter in the first line, and the columns by their common headers, in
// any case and spelling ("tripID", "Trip ID", "trip-id"). Options.Columns overrides the headers. If the delimiter is
// not a comma, numbers may have a decimal comma. A file without the required columns is an error that lists its
// headers.
package table

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/recordings"
)

// Trips detects whether the rows are fixes or rides, and reads them. A named column that only one of them has
// decides; otherwise the headers do: rides have two times, of the pickup and of the dropoff.
func Trips(r io.Reader, opts recordings.Options) (recordings.Trips, error) {
	s, err := open(r, opts, func(header []string) kind {
		switch {
		case rides.named(opts.Columns):
			return rides
		case fixes.named(opts.Columns):
			return fixes
		case rides.has(header, "start") && rides.has(header, "end"):
			return rides
		}
		return fixes
	})
	if err != nil {
		return recordings.Trips{}, err
	}
	if s.kind.title == rides.title {
		return recordings.Trips{Rides: rows(s, ride)}, nil
	}
	return recordings.Trips{Fixes: rows(s, fix)}, nil
}

// Fixes reads rows with the position of an object at one time. Rows of several trips may be mixed.
func Fixes(r io.Reader, opts recordings.Options) iter.Seq2[recordings.Fix, error] {
	return all(r, opts, fixes, fix)
}

// Rides reads rows with one finished trip each.
func Rides(r io.Reader, opts recordings.Options) iter.Seq2[recordings.Ride, error] {
	return all(r, opts, rides, ride)
}

// Readings reads rows with one measured value each.
func Readings(r io.Reader, opts recordings.Options) iter.Seq2[recordings.Reading, error] {
	return all(r, opts, readings, reading)
}

// Devices reads an inventory. Labels are columns named label:NAME, or one column of JSON objects.
func Devices(r io.Reader, opts recordings.Options) iter.Seq2[recordings.Device, error] {
	return all(r, opts, devices, device)
}

func all[T any](r io.Reader, opts recordings.Options, k kind, parse func(cells) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		s, err := open(r, opts, func([]string) kind { return k })
		if err != nil {
			var none T
			yield(none, err)
			return
		}
		rows(s, parse)(yield)
	}
}

// rows yields the parsed rows. An error of parse is a Fault.
func rows[T any](s *sheet, parse func(cells) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		for row, err := range s.inOrder() {
			parsed := none
			if err == nil {
				parsed, err = parse(row)
				err = asFault(row.line, err)
			}
			if !yield(parsed, err) || err != nil && !isFault(err) {
				return
			}
		}
	}
}

func asFault(line int, err error) error {
	if err == nil {
		return nil
	}
	return recordings.Fault{Line: line, Reason: err.Error()}
}

func isFault(err error) bool {
	_, ok := errors.AsType[recordings.Fault](err)
	return ok
}

// row is one unparsed row. Its slices are valid until the next row.
type row struct {
	line   int
	header []string // normalised by value.Name
	raw    []string // the header as written
	values []string
}

// rowReader returns rows, then io.EOF. A recordings.Fault is a row with a syntax error.
type rowReader interface {
	next() (row, error)
}

// sheet is a file of rows with known columns.
type sheet struct {
	rows         rowReader
	kind         kind
	opts         recordings.Options
	decimalComma bool // numbers may have a decimal comma
	commasSeen   bool // the head of the file has numbers with a decimal comma

	first  *row     // read already, not yet returned
	header []string // to which the columns are bound
	at     map[string]int
}

// next returns the next row with its columns. Rows of JSON may differ in their keys; a row without a required key is
// a Fault, but as the first row a fatal error.
func (s *sheet) next() (cells, error) {
	var r row
	var err error
	if s.first != nil {
		r, s.first = *s.first, nil
	} else if r, err = s.rows.next(); err != nil {
		return cells{}, err
	}
	if !slices.Equal(s.header, r.header) {
		at, err := s.kind.bind(r, s.opts.Columns)
		if err != nil {
			return cells{}, recordings.Fault{Line: r.line, Reason: err.Error()}
		}
		s.at, s.header = at, append(s.header[:0], r.header...)
	}
	if s.decimalComma && !s.commasSeen && slices.ContainsFunc(r.values, func(v string) bool { return strings.Contains(v, ",") && decimalCommaField.MatchString(v) }) {
		s.commasSeen = true // so far no number had a comma
		s.opts.Assumed(fmt.Sprintf("from line %d on, numbers have a decimal comma", r.line))
	}
	return cells{row: r, at: s.at, opts: s.opts, zone: s.opts.Zone(), decimalComma: s.decimalComma, commasSeen: s.commasSeen}, nil
}

func wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("read table: %w", err)
}
