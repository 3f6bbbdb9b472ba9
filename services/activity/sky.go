package activity

import (
	"math"
	"regexp"

	"github.com/sluicehq/sluice/internal/errs"
)

// J2000 is the epoch of coordinates that do not name one.
const J2000 = "J2000"

// epochShape is a Julian or Besselian year, or the ICRS, which has none.
var epochShape = regexp.MustCompile(`^(?:ICRS|[JB][0-9]{4}(?:\.[0-9]{1,6})?)$`)

// Sky is a place on the sky: degrees in the equatorial system of the epoch.
type Sky struct {
	RightAscension float64 // from 0 to below 360
	Declination    float64 // -90 to 90
	Epoch          string
}

// Standard tells whether the coordinates are ICRS, or J2000, which is the same to 0.03 arcseconds.
// Only those can be compared with a cone.
func (s Sky) Standard() bool {
	return s.Epoch == J2000 || s.Epoch == "J2000.0" || s.Epoch == "ICRS"
}

// Direction is where the coordinates point.
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

// checkEquatorial refuses NaN too, of which no comparison holds.
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
	return Vector{X: settled(cosDec * cosRA), Y: settled(cosDec * sinRA), Z: settled(sinDec)}
}

// settled makes zero of what is next to it: the square of a component that is too small has no
// double, for which PostgreSQL fails the whole query.
func settled(component float64) float64 {
	if math.Abs(component) < 1e-30 {
		return 0
	}
	return component
}

func radians(degrees float64) float64 { return degrees * math.Pi / 180 }

// Cone is a circle on the sky: ICRS, in degrees. Its edge belongs to it.
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

// Cap is a Cone in terms that need arithmetic only: the square of the chord, which is the straight
// way through the sphere between two of its points at the angle t, is (2 sin(t/2))². See J. Gray
// and others, There Goes the Neighborhood: Relational Algebra for Spatial Data Search,
// MSR-TR-2004-32, Microsoft Research 2004.
//
// A direction is in the cap when the squared chord from Axis to it is at most SquaredChord; or,
// when Beyond, at least that.
type Cap struct {
	Axis         Vector
	SquaredChord float64
	Beyond       bool
	MinZ, MaxZ   float64 // the band of declination in which all of the cap lies
}

// edge is how far beyond its edge a cone reaches, in radians, so that rounding leaves out nothing
// that lies on it: 2 billionths of an arcsecond.
const edge = 1e-14

// Cap is the cone as a Cap. Chords lose their precision towards 180 degrees, so a cone of more than
// 90 is what lies far enough from the opposite direction.
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
