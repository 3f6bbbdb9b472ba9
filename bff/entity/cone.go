package entity

import (
	"math"
	"slices"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/errs"
)

// standard returns ICRS or J2000 coordinates, which are the same to 0.03 arcseconds, or nil: only those can be
// compared with a cone.
func standard(s *bff.SkyCoordinates) *bff.SkyCoordinates {
	if s == nil || (s.Epoch != "J2000" && s.Epoch != "J2000.0" && s.Epoch != "ICRS") {
		return nil
	}
	return s
}

// cone is a circle on the sky. Angles are compared by the haversine, which is exact for small ones.
type cone struct {
	bff.ConeInput
	haversine float64 // of the radius
}

// roundingEdge extends a cone, in radians, so that rounding excludes nothing on its edge.
const roundingEdge = 1e-14

func newCone(in bff.ConeInput) (cone, error) {
	switch {
	case !(in.RightAscension >= 0 && in.RightAscension < 360):
		return cone{}, errs.Invalid("filter.cone.rightAscension", "must be at least 0 and below 360 degrees")
	case !(in.Declination >= -90 && in.Declination <= 90):
		return cone{}, errs.Invalid("filter.cone.declination", "must be between -90 and 90 degrees")
	case !(in.Radius > 0 && in.Radius <= 180):
		return cone{}, errs.Invalid("filter.cone.radius", "must be above 0 and at most 180 degrees")
	}
	return cone{ConeInput: in, haversine: haversine(min(math.Pi, radians(in.Radius)+roundingEdge))}, nil
}

func radians(degrees float64) float64 { return degrees * math.Pi / 180 }

func haversine(angle float64) float64 {
	s := math.Sin(angle / 2)
	return s * s
}

func (c cone) contains(n bff.Node) bool {
	at := standard(n.(*bff.Activity).Sky)
	if at == nil {
		return false
	}
	d1, d2 := radians(c.Declination), radians(at.Declination)
	h := haversine(d2-d1) + math.Cos(d1)*math.Cos(d2)*haversine(radians(at.RightAscension-c.RightAscension))
	return h <= c.haversine
}

// The cells of the sky in the index: bands of declination, each divided by right ascension.
const (
	cellDegrees = 10
	maxCells    = 36
)

func cellOf(rightAscension, declination float64) Key {
	return cellKey(int(math.Floor(rightAscension/cellDegrees)), int(math.Floor((declination+90)/cellDegrees)))
}

func cellKey(column, row int) Key {
	const columns, rows = 360 / cellDegrees, 180 / cellDegrees
	column = ((column % columns) + columns) % columns
	row = max(0, min(row, rows-1))
	return Key{"sky", string(rune('0'+column)) + string(rune('0'+row))}
}

// cells are those that the cone may reach; none if they are too many.
func (c cone) cells() []Key {
	if math.Abs(c.Declination)+c.Radius >= 89 {
		return nil // near a pole: every right ascension
	}
	// The maximum reach in right ascension of a circle without a pole.
	reach := math.Asin(math.Min(1, math.Sin(radians(c.Radius))/math.Cos(radians(c.Declination)))) * 180 / math.Pi
	const margin = 1e-6
	floor := func(degrees float64) int { return int(math.Floor(degrees / cellDegrees)) }
	west, east := floor(c.RightAscension-reach-margin), floor(c.RightAscension+reach+margin)
	south, north := floor(c.Declination-c.Radius-margin+90), floor(c.Declination+c.Radius+margin+90)
	if (east-west+1)*(north-south+1) > maxCells || east-west >= 360/cellDegrees-1 {
		return nil
	}
	var keys []Key
	for column := west; column <= east; column++ {
		for row := south; row <= north; row++ {
			if k := cellKey(column, row); !slices.Contains(keys, k) {
				keys = append(keys, k)
			}
		}
	}
	return keys
}
