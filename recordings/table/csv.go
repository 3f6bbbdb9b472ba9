package table

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sluicehq/sluice/recordings"
	"github.com/sluicehq/sluice/recordings/internal/source"
	"github.com/sluicehq/sluice/recordings/internal/value"
)

const (
	delimiterPeek = 32 << 10
	maxColumns    = 4096
)

// delimiter returns the most frequent candidate in the first line with text, outside quotes; by default a comma.
func delimiter(head []byte) rune {
	const candidates = ",;\t|"
	best, most := ',', 0
	counts := map[byte]int{}
	quoted := false
	for _, b := range []byte(strings.TrimLeft(string(head), "\r\n")) {
		if b == '"' {
			quoted = !quoted
		}
		if b == '\n' && !quoted {
			break
		}
		if !quoted {
			counts[b]++
		}
	}
	for _, c := range candidates {
		if n := counts[byte(c)]; n > most {
			best, most = c, n
		}
	}
	return best
}

// csvRows reads rows with as many fields as the header.
type csvRows struct {
	in     *source.Bounded
	csv    *csv.Reader
	raw    []string
	header []string
}

func newCSV(in *source.Bounded, comma rune) (*csvRows, error) {
	c := &csvRows{in: in, csv: csv.NewReader(in)}
	c.csv.Comma = comma
	c.csv.FieldsPerRecord = -1
	// A space before a quote is accepted, unless tabs are delimiters.
	c.csv.TrimLeadingSpace = comma != '\t'
	header, err := c.csv.Read()
	if err != nil {
		// %v removes the Fault: without a header the file is unreadable.
		return nil, fmt.Errorf("header: %v", explainCSV(err))
	}
	if len(header) > maxColumns {
		return nil, fmt.Errorf("the header has %d columns, more than %d", len(header), maxColumns)
	}
	for _, h := range header {
		c.raw = append(c.raw, strings.TrimSpace(h))
		c.header = append(c.header, value.Name(h))
	}
	c.csv.ReuseRecord = true
	return c, nil
}

func (c *csvRows) headerRow() row {
	return row{line: 1, header: c.header, raw: c.raw}
}

func (c *csvRows) next() (row, error) {
	c.in.Next()
	values, err := c.csv.Read()
	if err == io.EOF {
		return row{}, err
	}
	if err != nil {
		return row{}, explainCSV(err)
	}
	line, _ := c.csv.FieldPos(0)
	if len(values) != len(c.header) {
		return row{}, recordings.Fault{Line: line, Reason: fmt.Sprintf("the row has %d fields, the header %d", len(values), len(c.header))}
	}
	return row{line: line, header: c.header, raw: c.raw, values: values}, nil
}

// explainCSV converts a syntax error to a Fault. The reader continues after it.
func explainCSV(err error) error {
	syntax, ok := errors.AsType[*csv.ParseError](err)
	if !ok {
		return fmt.Errorf("read a row: %w", err)
	}
	reason := "a quote inside a field that is not quoted"
	if errors.Is(syntax.Err, csv.ErrQuote) {
		reason = "a quote that is not closed, or not at the end of its field"
	}
	if syntax.Line > syntax.StartLine {
		reason += fmt.Sprintf("; the rows up to line %d are lost with it", syntax.Line)
	}
	return recordings.Fault{Line: syntax.StartLine, Reason: reason}
}
