// Package table reads recordings that come as rows: CSV with any of the usual
// delimiters, JSON arrays of objects, and JSON Lines.
//
// What the rows are called is found out: the delimiter from the first line, the
// columns from their headers by the usual names, in any case and spelling
// ("tripID", "Trip ID", "trip-id"). Options.Columns says otherwise. Where the
// delimiter is not a comma, numbers may have a decimal comma.
package table

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/sluicehq/sluice/recordings"
)

// Trips finds out whether the rows are fixes or rides, by their headers, and
// reads them. Rides have two times, that of the pickup and that of the dropoff.
func Trips(r io.Reader, opts recordings.Options) (recordings.Trips, error) {
	s, err := open(r, opts, func(header []string) kind {
		if rides.named(opts.Columns) || rides.has(header, "start") && rides.has(header, "end") {
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

// Fixes reads rows that each say where a thing was at one time. Rows of several
// trips may be mixed; they stay in the order of the file.
func Fixes(r io.Reader, opts recordings.Options) iter.Seq2[recordings.Fix, error] {
	return all(r, opts, fixes, fix)
}

// Rides reads rows that each are a finished trip.
func Rides(r io.Reader, opts recordings.Options) iter.Seq2[recordings.Ride, error] {
	return all(r, opts, rides, ride)
}

// Readings reads rows that each are one measured value.
func Readings(r io.Reader, opts recordings.Options) iter.Seq2[recordings.Reading, error] {
	return all(r, opts, readings, reading)
}

// Devices reads an inventory. Labels are columns named label:NAME, or one column
// of JSON objects.
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

// rows yields what parse makes of each row; what parse refuses is a Fault.
func rows[T any](s *sheet, parse func(cells) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		for {
			row, err := s.next()
			if err == io.EOF {
				return
			}
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

// row is one row as it was found. Its slices are good until the next.
type row struct {
	line   int
	header []string // normalised by value.Name
	raw    []string // the header as written
	values []string
}

// rowReader gives one row after another, then io.EOF. A recordings.Fault is one
// row that could not be taken apart.
type rowReader interface {
	next() (row, error)
}

// sheet is a file of rows whose columns are known.
type sheet struct {
	rows         rowReader
	kind         kind
	opts         recordings.Options
	decimalComma bool

	first  *row     // looked at already, not yet given
	header []string // that columns are bound to
	at     map[string]int
}

// next is the next row with its columns bound. Rows of JSON may differ in their
// keys; one that lacks a needed key is a Fault, but for the first.
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
	return cells{row: r, at: s.at, zone: s.opts.Zone(), decimalComma: s.decimalComma}, nil
}

func wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("read table: %w", err)
}
