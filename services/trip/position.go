package trip

import (
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sluicehq/sluice/internal/errs"
)

// ClockTolerance is how far the clock of who reports may be off: a live fix may be this far in the
// future, and this far before the start of its trip.
const ClockTolerance = 5 * time.Minute

const maxPlace = 200 // runes

// Position is a place on Earth at a time.
type Position struct {
	Latitude      float64   `json:"latitude"`  // degrees, WGS 84, -90 to 90
	Longitude     float64   `json:"longitude"` // degrees, WGS 84, -180 to 180
	At            time.Time `json:"at"`
	Accuracy      *float64  `json:"accuracy,omitempty"` // metres; nil when unknown
	Place         string    `json:"place,omitempty"`    // its name, for people
	StartsSegment bool      `json:"startsSegment,omitempty"`
}

// Fix is a position in a track.
type Fix struct {
	Position
	Ordinal   int64 // the order of arrival, from 1
	Rejection Rejection
}

// Counted tells whether the fix passed the rules of distance.
func (f Fix) Counted() bool { return f.Rejection == "" }

// Track is the fixes of a trip, by time.
type Track struct {
	TripID string
	Fixes  []Fix
}

// unknown tells whether the place is the one that recorders write when they have none: exactly 0, 0.
func (p Position) unknown() bool { return p.Latitude == 0 && p.Longitude == 0 }

// checked is the position in the form that is kept, or INVALID_ARGUMENT naming the part of field.
func (p Position) checked(field string) (Position, error) {
	switch {
	case !within(p.Latitude, 90):
		return p, errs.Invalid(field+".latitude", "must be between -90 and 90")
	case !within(p.Longitude, 180):
		return p, errs.Invalid(field+".longitude", "must be between -180 and 180")
	case p.Accuracy != nil && (!(*p.Accuracy >= 0) || math.IsInf(*p.Accuracy, 0)):
		return p, errs.Invalid(field+".accuracy", "must be 0 or more metres")
	case p.At.IsZero():
		return p, errs.Invalid(field+".at", "is missing")
	case p.At.Year() < 1900 || p.At.Year() > 2200:
		return p, errs.Invalid(field+".at", "must be between the years 1900 and 2200")
	case !utf8.ValidString(p.Place) || strings.ContainsFunc(p.Place, unicode.IsControl):
		return p, errs.Invalid(field+".place", "must be UTF-8 without control characters")
	case utf8.RuneCountInString(p.Place) > maxPlace:
		return p, errs.Invalid(field+".place", "is longer than %d characters", maxPlace)
	}
	p.Latitude, p.Longitude = p.Latitude+0, p.Longitude+0 // no negative zero, which some compare as another place
	p.At = p.At.UTC().Truncate(time.Microsecond)
	return p, nil
}

// within is false for NaN.
func within(degrees, most float64) bool { return degrees >= -most && degrees <= most }

// live is a position reported now, as it is kept. Without a time it is of now.
func live(p Position, now time.Time) (Position, error) {
	if p.At.IsZero() {
		p.At = now
	}
	p, err := p.checked("position")
	if err != nil {
		return p, err
	}
	if p.At.After(now.Add(ClockTolerance)) {
		return p, errs.Invalid("position.at", "is more than %d minutes in the future", int(ClockTolerance.Minutes()))
	}
	return p, nil
}
