package table

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"

	"github.com/sluicehq/sluice/recordings"
	"github.com/sluicehq/sluice/recordings/internal/source"
)

// open detects the format, selects the kind by the normalised headers, and binds the columns of the first row.
func open(r io.Reader, opts recordings.Options, choose func(header []string) kind) (*sheet, error) {
	in, err := source.Open(r)
	if err != nil {
		return nil, wrap(err)
	}
	first, err := source.First(in)
	if err != nil {
		return nil, wrap(err)
	}
	s := &sheet{opts: opts}
	switch first {
	case 0:
		return nil, wrap(source.ErrEmpty)
	case '<':
		return nil, wrap(errors.New("the file is XML, not CSV or JSON"))
	case '[':
		s.rows = newJSONArray(in)
	case '{':
		s.rows = newJSONStream(in)
	default:
		return s, wrap(s.openCSV(source.NewBounded(in), in.Peek, choose))
	}
	return s, wrap(s.openJSON(choose))
}

// openJSON uses the keys of the first row as the header.
func (s *sheet) openJSON(choose func([]string) kind) error {
	first, err := s.rows.next()
	if err == io.EOF {
		s.kind = choose(nil)
		return nil
	}
	if fault, ok := errors.AsType[recordings.Fault](err); ok {
		return fmt.Errorf("the first row says what the columns are: %v", fault)
	}
	if err != nil {
		return err
	}
	s.first = &first
	return s.bindTo(first, choose(first.header))
}

func (s *sheet) openCSV(in *source.Bounded, peek func(int) ([]byte, error), choose func([]string) kind) error {
	head, err := peek(delimiterPeek)
	if err != nil && err != io.EOF {
		return err
	}
	if bytes.IndexByte(head, '\n') < 0 && bytes.IndexByte(head, '\r') >= 0 {
		return errors.New("the lines end with a carriage return alone: save the file with line feeds")
	}
	comma := delimiter(head)
	csv, err := newCSV(in, comma)
	if err != nil {
		return err
	}
	s.rows, s.decimalComma = csv, comma != ','
	switch s.commasSeen = s.decimalComma && hasField(head, comma, decimalCommaField); {
	case s.commasSeen:
		s.opts.Assumed("numbers have a decimal comma")
	case s.decimalComma && hasField(head, comma, thousandsField):
		s.opts.Assumed("numbers have a decimal point")
	}
	return s.bindTo(csv.headerRow(), choose(csv.header))
}

// decimalCommaField is a number with a decimal comma.
var decimalCommaField = regexp.MustCompile(`^\s*"?[+-]?\d+(\.\d{3})*,\d+"?\s*$`)

// thousandsField is a number whose point may separate thousands.
var thousandsField = regexp.MustCompile(`^\s*"?[+-]?\d{1,3}(\.\d{3})+"?\s*$`)

func hasField(head []byte, delimiter rune, shape *regexp.Regexp) bool {
	for line := range bytes.Lines(head) {
		for field := range bytes.SplitSeq(bytes.TrimRight(line, "\r\n"), []byte(string(delimiter))) {
			if shape.Match(field) {
				return true
			}
		}
	}
	return false
}

func (s *sheet) bindTo(header row, k kind) error {
	s.kind = k
	at, err := k.bind(header, s.opts.Columns)
	if i, ok := at["distance_miles"]; ok && err == nil && header.header[i] == "trip_distance" && s.opts.Columns["distance_miles"] == "" {
		s.opts.Assumed("trip_distance is in miles, as the NYC TLC writes it")
	}
	s.at, s.header = at, append([]string(nil), header.header...)
	if err == nil {
		for _, report := range k.unread(header, at) {
			s.opts.Assumed(report)
		}
	}
	return err
}
