// Package input validates input by rules that all services share. A check returns INVALID_ARGUMENT, which names the
// field and the rule. SQLite and PostgreSQL store valid input unchanged.
package input

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"strings"
	"time"
	_ "time/tzdata" // time zones for machines without a database of them
	"unicode"
	"unicode/utf8"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/jsontext"
)

// Line refuses text that is not one line of at most most characters; "" passes.
func Line(field, text string, most int) error {
	if err := oneLine(field, text); err != nil {
		return err
	}
	return short(field, text, most)
}

// Name is Line, but refuses text without a visible character.
func Name(field, text string, most int) error {
	if strings.TrimSpace(text) == "" {
		return errs.Invalid(field, "is missing")
	}
	return Line(field, text, most)
}

// Key is Line with the limit in bytes, but refuses "". It is for columns with an index.
func Key(field, text string, most int) error {
	switch {
	case text == "":
		return errs.Invalid(field, "is missing")
	case len(text) > most:
		return errs.Invalid(field, "is longer than %d bytes", most)
	}
	return oneLine(field, text)
}

// Text refuses text that is not valid UTF-8 of at most most characters, and NUL, which PostgreSQL does not store;
// lines and "" pass.
func Text(field, text string, most int) error {
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return errs.Invalid(field, "must be UTF-8 without NUL")
	}
	return short(field, text, most)
}

// JSON refuses text that is not a JSON value of at most most bytes, within the limits of requests: see jsontext.
func JSON(field, text string, most int) error {
	if len(text) > most {
		return errs.Invalid(field, "is longer than %d bytes", most)
	}
	if err := jsontext.Usual().Check([]byte(text)); err != nil {
		return errs.Invalid(field, "%v", err)
	}
	return nil
}

// Object decodes a JSON object with only the fields of to. The error states the shape.
func Object(field, text, shape string, to any) error {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(to); err != nil {
		return errs.Invalid(field, "must be %s", shape).Because(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errs.Invalid(field, "must be one object")
	}
	return nil
}

func oneLine(field, text string) error {
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return errs.Invalid(field, "must be UTF-8 without control characters")
	}
	return nil
}

func short(field, text string, most int) error {
	if utf8.RuneCountInString(text) > most {
		return errs.Invalid(field, "is longer than %d characters", most)
	}
	return nil
}

// Times are from the start of FirstYear to before the start of EndYear, in UTC.
const (
	FirstYear = 1900
	EndYear   = 2200
)

// Time returns the stored form of a time: UTC in whole microseconds.
func Time(field string, at time.Time) (time.Time, error) {
	at = at.UTC()
	if at.Year() < FirstYear || at.Year() >= EndYear {
		return time.Time{}, errs.Invalid(field, "must be between the years %d and %d", FirstYear, EndYear)
	}
	return at.Truncate(time.Microsecond), nil
}

// OptionalTime is Time; nil passes.
func OptionalTime(field string, at *time.Time) (*time.Time, error) {
	if at == nil {
		return nil, nil
	}
	kept, err := Time(field, *at)
	if err != nil {
		return nil, err
	}
	return &kept, nil
}

const maxZone = 64

// Zone returns the time zone of the name in the IANA database. It refuses "Local", the zone of the server.
func Zone(field, name string) (*time.Location, error) {
	if name == "" || name == "Local" || len(name) > maxZone {
		return nil, errs.Invalid(field, "is not the IANA name of a time zone, as in \"Europe/Berlin\"")
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, errs.Invalid(field, "there is no time zone %.100q", name).Because(err)
	}
	return zone, nil
}

// Place refuses a position that is not on Earth: degrees in WGS 84, and an optional accuracy in metres. It refuses
// NaN.
func Place(field string, latitude, longitude float64, accuracy *float64) error {
	switch {
	case !(math.Abs(latitude) <= 90):
		return errs.Invalid(field+".latitude", "must be between -90 and 90 degrees")
	case !(math.Abs(longitude) <= 180):
		return errs.Invalid(field+".longitude", "must be between -180 and 180 degrees")
	case accuracy != nil && !(*accuracy >= 0 && *accuracy <= math.MaxFloat64):
		return errs.Invalid(field+".accuracy", "must be 0 or more metres")
	}
	return nil
}
