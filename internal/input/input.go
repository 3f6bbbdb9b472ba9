// Package input checks what callers send, where every service holds it to the same rule.
//
// Each check names the field that it refuses, as INVALID_ARGUMENT with a sentence that says what the
// field must be. Bounds on the length are the caller's to give. What passes can be kept by SQLite
// and PostgreSQL and read back as it was.
package input

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"strings"
	"time"
	_ "time/tzdata" // zones on machines that have no list of them
	"unicode"
	"unicode/utf8"

	"github.com/sluicehq/sluice/internal/errs"
)

// Line refuses what is not one line of at most most characters; "" passes.
func Line(field, text string, most int) error {
	if err := oneLine(field, text); err != nil {
		return err
	}
	return short(field, text, most)
}

// Name refuses what Line refuses, and what nobody could read.
func Name(field, text string, most int) error {
	if strings.TrimSpace(text) == "" {
		return errs.Invalid(field, "is missing")
	}
	return Line(field, text, most)
}

// Key refuses what Line refuses, but counts bytes, and "": it is for what is looked up, so that it
// fits an index.
func Key(field, text string, most int) error {
	switch {
	case text == "":
		return errs.Invalid(field, "is missing")
	case len(text) > most:
		return errs.Invalid(field, "is longer than %d bytes", most)
	}
	return oneLine(field, text)
}

// Text refuses what is not text, of any number of lines, of at most most characters; "" passes.
// PostgreSQL keeps no NUL.
func Text(field, text string, most int) error {
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return errs.Invalid(field, "must be UTF-8 without NUL")
	}
	return short(field, text, most)
}

// JSON refuses what is not a JSON value of at most most bytes.
func JSON(field, text string, most int) error {
	if len(text) > most {
		return errs.Invalid(field, "is longer than %d bytes", most)
	}
	if !utf8.ValidString(text) || !json.Valid([]byte(text)) {
		return errs.Invalid(field, "is not JSON")
	}
	return nil
}

// Object reads a JSON object of the fields that the struct to has, and of no others. The refusal
// says that it must be of the shape.
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

// Time is the time as stores keep it: in UTC and whole microseconds.
func Time(field string, at time.Time) (time.Time, error) {
	at = at.UTC()
	if at.Year() < FirstYear || at.Year() >= EndYear {
		return time.Time{}, errs.Invalid(field, "must be between the years %d and %d", FirstYear, EndYear)
	}
	return at.Truncate(time.Microsecond), nil
}

// OptionalTime is Time for what may be nil.
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

// maxZone bounds the name of a time zone, in bytes.
const maxZone = 64

// Zone finds a time zone by its name in the IANA database. "Local" is none, though Go knows it: it
// is wherever the server stands.
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

// Place refuses what is no place on Earth: degrees in WGS 84, and metres of accuracy where it is
// known. NaN is neither.
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
