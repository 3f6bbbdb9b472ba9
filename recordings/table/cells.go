package table

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/recordings"
	"github.com/sluicehq/sluice/recordings/internal/value"
)

// maxMeasure exceeds any distance on Earth in any unit.
const maxMeasure = 1e9

// cells parses the values of one row by the names of the columns. Errors start with the name.
type cells struct {
	row
	at           map[string]int
	opts         recordings.Options
	zone         *time.Location
	decimalComma bool // a comma is not the delimiter and may be a decimal comma
	commasSeen   bool // the file has numbers with decimal commas
	occurrence   int  // first or second occurrence of an ambiguous local time; 0 if unknown
}

// text returns the text of a column; "" if the row lacks it.
func (c cells) text(name string) string {
	if i, ok := c.at[name]; ok {
		return strings.TrimSpace(c.values[i])
	}
	return ""
}

func (c cells) key(name string) (string, error) {
	s, err := value.Text(c.text(name))
	return s, named(name, err)
}

func (c cells) number(name string) (float64, error) {
	if err := c.checkPoint(name); err != nil {
		return 0, named(name, err)
	}
	v, err := value.Number(c.decimal(name))
	return v, named(name, err)
}

// decimal returns the text of a number, with a decimal point.
func (c cells) decimal(name string) string {
	s := c.text(name)
	if c.decimalComma && !strings.Contains(s, ".") {
		s = strings.Replace(s, ",", ".", 1)
	}
	return s
}

// thousands matches a number with a point that may separate thousands.
var thousands = regexp.MustCompile(`^[+-]?\d{1,3}(\.\d{3})+$`)

// checkPoint refuses a number whose point may be a decimal point or separate thousands.
func (c cells) checkPoint(name string) error {
	if c.commasSeen && thousands.MatchString(c.text(name)) {
		return fmt.Errorf("%s is ambiguous in a file with decimal commas: write it without a point, or with a comma", value.Quote(c.text(name)))
	}
	return nil
}

// measure parses a number from 0 to maxMeasure; nil if empty.
func (c cells) measure(name string) (*float64, error) {
	if c.text(name) == "" {
		return nil, nil
	}
	v, err := c.number(name)
	if err == nil && (v < 0 || v > maxMeasure) {
		err = fmt.Errorf("%s %g is outside 0 to %g", name, v, float64(maxMeasure))
	}
	return &v, err
}

// time parses the time of a column. A time of day requires the column "date".
func (c cells) time(name string) (time.Time, error) {
	i, err := c.instant(name)
	if err != nil || !i.Ambiguous() {
		return i.First, err
	}
	switch c.occurrence {
	case firstOccurrence:
		return i.First, nil
	case secondOccurrence:
		return i.Second, nil
	}
	_, err = value.Time(c.timeText(name), c.zone)
	return i.First, named(name, err)
}

// instant parses a time that may be ambiguous.
func (c cells) instant(name string) (value.Instant, error) {
	i, err := value.ParseInstant(c.timeText(name), c.zone)
	if err == nil {
		err = c.opts.CheckPast(i.First)
	}
	return i, named(name, err)
}

func (c cells) timeText(name string) string {
	s := c.text(name)
	if date := c.text("date"); date != "" && len(s) > 2 && s != date && strings.Contains(s[:3], ":") {
		s = date + " " + s
	}
	return value.ReorderDate(s, string(c.opts.DateOrder))
}

func (c cells) position(latitude, longitude string) (p recordings.Position, err error) {
	if err := errors.Join(named(latitude, c.checkPoint(latitude)), named(longitude, c.checkPoint(longitude))); err != nil {
		return p, err
	}
	if p.Latitude, err = value.Latitude(c.decimal(latitude)); err != nil {
		return p, named(latitude, err)
	}
	p.Longitude, err = value.Longitude(c.decimal(longitude))
	return p, named(longitude, err)
}

// point parses a position in well-known text (OGC Simple Features), longitude first: POINT(11.56 48.16), with or
// without an SRID and a height.
func (c cells) point(name string) (p recordings.Position, err error) {
	s := strings.ToUpper(c.text(name))
	if srid, rest, ok := strings.Cut(s, ";"); ok && strings.HasPrefix(srid, "SRID=") {
		s = rest
	}
	head, rest, _ := strings.Cut(s, "(")
	numbers := strings.Fields(strings.TrimSuffix(rest, ")"))
	if !strings.HasPrefix(head, "POINT") || !strings.HasSuffix(rest, ")") || len(numbers) < 2 || len(numbers) > 4 {
		return p, fmt.Errorf("%s %s is not POINT(longitude latitude)", name, value.Quote(s))
	}
	if p.Longitude, err = value.Longitude(numbers[0]); err != nil {
		return p, fmt.Errorf("longitude %w", err)
	}
	if p.Latitude, err = value.Latitude(numbers[1]); err != nil {
		return p, fmt.Errorf("latitude %w", err)
	}
	return p, nil
}

// count parses a whole number from 0 up; 0 if empty. Some tables write 2.0.
func (c cells) count(name string) (int, error) {
	s := strings.TrimSuffix(c.decimal(name), ".0")
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("%s %s is not a whole number from 0 up", name, value.Quote(s))
	}
	return int(n), nil
}

func named(name string, err error) error {
	if err == nil {
		return nil
	}
	return errors.New(name + " " + err.Error())
}
