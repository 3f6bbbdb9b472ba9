package activity

import (
	"math"
	"regexp"

	"github.com/sluicehq/sluice/internal/errs"
)

// J2000 is the default epoch of coordinates.
const J2000 = "J2000"

// epochShape matches a Julian or Besselian year, or ICRS, which has no epoch.
var epochShape = regexp.MustCompile(`^(?:ICRS|[JB][0-9]{4}(?:\.[0-9]{1,6})?)$`)

// Sky is a position on the sky, in degrees of the equatorial system of the epoch.
type Sky struct {
	RightAscension float64 // from 0 to below 360
	Declination    float64 // -90 to 90
	Epoch          string
}

// Standard reports whether the coordinates are ICRS, or J2000, which equals ICRS to 0.03 arcseconds. A cone matches only
// standard coordinates.
func (s Sky) Standard() bool {
	return s.Epoch == J2000 || s.Epoch == "J2000.0" || s.Epoch == "ICRS"
}

// Direction returns the unit vector of the coordinates.
func (s Sky) Direction() Vector { return direction(s.RightAscension, s.Declination) }

func (s Sky) checked() (Sky, error) {
	if err := checkEquatorial("sky", s.RightAscension, s.Declination); err != nil {
		return s, err
	}
	if s.Epoch == "" {
		s.Epoch = J2000
	}
	if !epochShape.MatchString(s.Epoch) {
		return s, errs.Invalid("sky.epoch", "must be like J2000, B1950 or ICRS")
	}
	s.RightAscension, s.Declination = s.RightAscension+0, s.Declination+0 // no negative zero
	return s, nil
}

// checkEquatorial refuses NaN too, because every comparison with NaN is false.
func checkEquatorial(field string, rightAscension, declination float64) error {
	if !(rightAscension >= 0 && rightAscension < 360) {
		return errs.Invalid(field+".rightAscension", "must be at least 0 and below 360 degrees")
	}
	if !(declination >= -90 && declination <= 90) {
		return errs.Invalid(field+".declination", "must be between -90 and 90 degrees")
	}
	return nil
}

// Vector is a direction on the sky as a point of the unit sphere.
type Vector struct{ X, Y, Z float64 }

func direction(rightAscension, declination float64) Vector {
	sinRA, cosRA := math.Sincos(radians(rightAscension))
	sinDec, cosDec := math.Sincos(radians(declination))
	return Vector{X: flushTiny(cosDec * cosRA), Y: flushTiny(cosDec * sinRA), Z: flushTiny(sinDec)}
}

// flushTiny replaces tiny components by zero: their squares underflow, and PostgreSQL fails the whole query on
// underflow.
func flushTiny(component float64) float64 {
	if math.Abs(component) < 1e-30 {
		return 0
	}
	return component
}

func radians(degrees float64) float64 { return degrees * math.Pi / 180 }

// Cone is a circle on the sky: ICRS, in degrees, edge included.
type Cone struct {
	RightAscension float64 // from 0 to below 360
	Declination    float64 // -90 to 90
	Radius         float64 // above 0, to 180
}

func (c Cone) check() error {
	if err := checkEquatorial("filter.cone", c.RightAscension, c.Declination); err != nil {
		return err
	}
	if !(c.Radius > 0 && c.Radius <= 180) {
		return errs.Invalid("filter.cone.radius", "must be above 0 and at most 180 degrees")
	}
	return nil
}

// Cap is a Cone in a form that SQL evaluates with arithmetic only. The chord is the straight line between two points
// of the sphere; its square at the angle t is (2 sin(t/2))². See J. Gray and others, There Goes the Neighborhood:
// Relational Algebra for Spatial Data Search, MSR-TR-2004-32, Microsoft Research 2004. A direction is in the cap if
// its squared chord from Axis is at most SquaredChord, or, with Beyond, at least SquaredChord.
type Cap struct {
	Axis         Vector
	SquaredChord float64
	Beyond       bool
	MinZ, MaxZ   float64 // the band of declination that contains the cap
}

// edge extends a cone, in radians, so that rounding excludes no point on its edge: 2 billionths of an arcsecond.
const edge = 1e-14

// Cap returns the cone as a Cap. Chords lose precision towards 180 degrees, so a cone above 90 degrees is the set of
// directions far enough from the opposite axis.
func (c Cone) Cap() Cap {
	axis := direction(c.RightAscension, c.Declination)
	south, north := math.Max(-90, c.Declination-c.Radius), math.Min(90, c.Declination+c.Radius)
	out := Cap{
		Axis: axis,
		MinZ: math.Sin(radians(south)) - 2*edge,
		MaxZ: math.Sin(radians(north)) + 2*edge,
	}
	if c.Radius <= 90 {
		chord := 2*math.Sin(radians(c.Radius)/2) + edge
		out.SquaredChord = chord * chord
		return out
	}
	chord := math.Max(0, 2*math.Sin(radians(180-c.Radius)/2)-edge)
	out.Axis = Vector{X: -axis.X, Y: -axis.Y, Z: -axis.Z}
	out.SquaredChord, out.Beyond = chord*chord, true
	return out
}
