package device

import (
	"github.com/sluicehq/sluice/internal/input"
)

// CheckPosition returns the position in its stored form.
func CheckPosition(field string, p *Position) (*Position, error) {
	if p == nil {
		return nil, nil
	}
	if err := input.Place(field, p.Latitude, p.Longitude, p.Accuracy); err != nil {
		return nil, err
	}
	if err := input.Line(field+".place", p.Place, MaxName); err != nil {
		return nil, err
	}
	at, err := input.OptionalTime(field+".at", p.At)
	if err != nil {
		return nil, err
	}
	kept := *p
	kept.At = at
	return &kept, nil
}

// Latest returns the later of two positions. A position with a time precedes one without, so that an import without
// times does not replace what the device reported.
func Latest(known, found *Position) *Position {
	switch {
	case found == nil:
		return known
	case known == nil || known.At == nil:
		return found
	case found.At == nil || found.At.Before(*known.At):
		return known
	}
	return found
}

// SamePosition reports whether the positions are equal by value.
func SamePosition(a, b *Position) bool {
	if a == nil || b == nil {
		return a == b
	}
	sameTime := a.At == b.At || (a.At != nil && b.At != nil && a.At.Equal(*b.At))
	sameAccuracy := a.Accuracy == b.Accuracy || (a.Accuracy != nil && b.Accuracy != nil && *a.Accuracy == *b.Accuracy)
	return sameTime && sameAccuracy && a.Latitude == b.Latitude && a.Longitude == b.Longitude && a.Place == b.Place
}
