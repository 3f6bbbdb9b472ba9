package table

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/sluicehq/sluice/recordings"
	"github.com/sluicehq/sluice/recordings/internal/source"
	"github.com/sluicehq/sluice/recordings/internal/value"
)

// maxDepth bounds the brackets in one element.
const maxDepth = 64

// jsonRows reads objects from a stream of JSON. It splits the stream itself, so that an invalid element (Python
// writes NaN) does not end the import.
type jsonRows struct {
	in  *bufio.Reader
	cut func() error // reads the next element into buf, and its line into line

	line, ended int // of the element, and of the last byte
	buf         []byte
	open, done  bool // the array: its opening and closing brackets were read

	// Of the last object, reused while the keys are the same.
	keys, header, values []string
}

func newJSONArray(in *bufio.Reader) *jsonRows {
	j := &jsonRows{in: in, ended: 1}
	j.cut = j.cutElement
	return j
}

func newJSONStream(in *bufio.Reader) *jsonRows {
	j := &jsonRows{in: in, ended: 1}
	j.cut = j.cutValue
	return j
}

func (j *jsonRows) next() (row, error) {
	if err := j.cut(); err != nil {
		return row{}, err
	}
	if err := j.object(); err != nil {
		return row{}, recordings.Fault{Line: j.line, Reason: err.Error()}
	}
	return row{line: j.line, header: j.header, raw: j.keys, values: j.values}, nil
}

// cutValue reads the next value of the stream: an object on one or several lines. An element that is not an object
// ends with its line. So does an invalid object, if the next one starts at the beginning of a line or a string is not
// closed: the values after it are still read.
func (j *jsonRows) cutValue() error {
	j.buf = j.buf[:0]
	var s scanner
	for {
		b, err := j.in.ReadByte()
		if err == io.EOF && len(j.buf) > 0 {
			return nil // object reports what is missing
		}
		if err != nil {
			return err
		}
		atLineStart := len(j.buf) > 0 && j.buf[len(j.buf)-1] == '\n'
		if b == '{' && atLineStart && s.depth > 0 {
			j.buf = bytes.TrimRight(j.buf, "\r\n \t")
			return j.in.UnreadByte()
		}
		if len(j.buf) == 0 && bytes.IndexByte([]byte(" \t\r\n"), b) >= 0 {
			j.countLine(b)
			continue
		}
		if err := j.expect(b, &s); err != nil {
			return err
		}
		j.countLine(b)
		object := j.buf[0] == '{'
		if object && s.depth <= 0 && !s.quoted || b == '\n' && (!object || s.quoted) {
			return nil
		}
	}
}

func (j *jsonRows) countLine(b byte) {
	if b == '\n' {
		j.ended++
	}
}

// cutElement reads the next element of the array, up to a comma or a closing bracket at depth zero.
func (j *jsonRows) cutElement() error {
	j.buf = j.buf[:0]
	if j.done {
		return j.atEnd()
	}
	var s scanner
	for {
		b, err := j.readByte()
		if err != nil {
			return err
		}
		if len(j.buf) == 0 && bytes.IndexByte([]byte(" \t\r\n,"), b) >= 0 {
			continue
		}
		if !j.open {
			j.open = true // the bracket that open detected
			continue
		}
		if ends := s.outside() && (b == ',' || b == ']'); ends {
			j.done = b == ']'
			if len(j.buf) == 0 {
				return j.atEnd()
			}
			return nil
		}
		if err := j.expect(b, &s); err != nil {
			return err
		}
	}
}

func (j *jsonRows) expect(b byte, s *scanner) error {
	if len(j.buf) == 0 {
		j.line = j.ended
	}
	j.buf = append(j.buf, b)
	if len(j.buf) > source.MaxElement {
		return fmt.Errorf("line %d: %w", j.line, source.ErrTooLong)
	}
	if s.scan(b); s.depth > maxDepth {
		return fmt.Errorf("line %d: brackets are nested more than %d deep", j.line, maxDepth)
	}
	return nil
}

// atEnd checks that nothing follows the array.
func (j *jsonRows) atEnd() error {
	for {
		b, err := j.in.ReadByte()
		if err != nil {
			return err // io.EOF is expected
		}
		if b == '\n' {
			j.ended++
		}
		if bytes.IndexByte([]byte(" \t\r\n"), b) < 0 {
			return fmt.Errorf("line %d: text after the end of the array", j.ended)
		}
	}
}

func (j *jsonRows) readByte() (byte, error) {
	b, err := j.in.ReadByte()
	if err == io.EOF {
		return 0, fmt.Errorf("unexpected end of file at line %d", j.ended)
	}
	if b == '\n' {
		j.ended++
	}
	return b, err
}

// scanner tracks the depth of brackets and strings.
type scanner struct {
	depth           int
	quoted, escaped bool
}

func (s *scanner) outside() bool { return s.depth <= 0 && !s.quoted }

func (s *scanner) scan(b byte) {
	switch {
	case s.escaped:
		s.escaped = false
	case s.quoted && b == '\\':
		s.escaped = true
	case b == '"':
		s.quoted = !s.quoted
	case s.quoted:
	case b == '{' || b == '[':
		s.depth++
	case b == '}' || b == ']':
		s.depth--
	}
}

func (j *jsonRows) object() error {
	if !json.Valid(j.buf) {
		return fmt.Errorf("not JSON: %w", json.Unmarshal(j.buf, new(json.RawMessage)))
	}
	d := json.NewDecoder(bytes.NewReader(j.buf))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return fmt.Errorf("%s is not a JSON object", value.Quote(string(j.buf)))
	}
	keys := make([]string, 0, len(j.keys))
	j.values = j.values[:0]
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		var member json.RawMessage
		if err := d.Decode(&member); err != nil {
			return err
		}
		keys = append(keys, key.(string))
		j.values = append(j.values, value.FromJSON(member))
	}
	if len(keys) > maxColumns {
		return errors.New("the object has too many members")
	}
	j.rememberKeys(keys)
	return nil
}

func (j *jsonRows) rememberKeys(keys []string) {
	if slices.Equal(keys, j.keys) {
		return
	}
	j.keys, j.header = keys, nil
	for _, key := range keys {
		j.header = append(j.header, value.Name(key))
	}
}
