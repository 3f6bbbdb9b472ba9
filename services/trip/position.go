package trip

import (
	"time"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/input"
)

// ClockTolerance is the accepted error of a client's clock: for a live fix in the future or before the start of its
// trip, and for a start in the past.
const ClockTolerance = 5 * time.Minute

const maxPlace = 200 // characters

// Position is a place on Earth at a time.
type Position struct {
	Latitude      float64   `json:"latitude"`  // degrees, WGS 84, -90 to 90
	Longitude     float64   `json:"longitude"` // degrees, WGS 84, -180 to 180
	At            time.Time `json:"at"`
	Accuracy      *float64  `json:"accuracy,omitempty"` // metres; nil when unknown
	Place         string    `json:"place,omitempty"`    // a name for people
	StartsSegment bool      `json:"startsSegment,omitempty"`
}

// Fix is a position in a track.
type Fix struct {
	Position
	Ordinal   int64 // the order of arrival, from 1
	Rejection Rejection
}

// Counted reports whether the fix passed the rules of distance.
func (f Fix) Counted() bool { return f.Rejection == "" }

// Track is the fixes of a trip, ordered by time.
type Track struct {
	TripID string
	Fixes  []Fix
}

// isNull reports a position of exactly 0, 0, which recorders write without a position.
func (p Position) isNull() bool { return p.Latitude == 0 && p.Longitude == 0 }

// normalize returns the position in its stored form, or INVALID_ARGUMENT with the name of the bad part of field.
func (p Position) normalize(field string) (Position, error) {
	if err := input.Place(field, p.Latitude, p.Longitude, p.Accuracy); err != nil {
		return p, err
	}
	if p.At.IsZero() {
		return p, errs.Invalid(field+".at", "is missing")
	}
	at, err := input.Time(field+".at", p.At)
	if err != nil {
		return p, err
	}
	if err := input.Line(field+".place", p.Place, maxPlace); err != nil {
		return p, err
	}
	p.At = at
	p.Latitude, p.Longitude = p.Latitude+0, p.Longitude+0 // converts a negative zero, which some databases distinguish
	return p, nil
}

// normalizeLive returns a position that was reported now, in its stored form. Without a time it is from now.
func normalizeLive(p Position, now time.Time) (Position, error) {
	if p.At.IsZero() {
		p.At = now
	}
	p, err := p.normalize("position")
	if err != nil {
		return p, err
	}
	if p.At.After(now.Add(ClockTolerance)) {
		return p, errs.Invalid("position.at", "is more than %d minutes in the future", int(ClockTolerance.Minutes()))
	}
	return p, nil
}
