package entity

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sluicehq/sluice/bff"
)

// What a cone contains is what lies within its radius, by another formula, wherever on the sky it is; and the
// index finds it there.
func TestConesContainWhatIsNear(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	edges := []float64{0, 1e-9, 10, 90, 180, 270, 350, 359.999999999, math.Nextafter(360, 0)}
	poles := []float64{-90, -89.9999, -80, 0, 79.9999, 80, 89, 90}
	pick := func(list []float64, from, to float64) float64 {
		if rng.IntN(3) == 0 {
			return list[rng.IntN(len(list))]
		}
		return from + rng.Float64()*(to-from)
	}
	inside, outside := 0, 0
	for range 200_000 {
		in := bff.ConeInput{RightAscension: pick(edges, 0, 360), Declination: pick(poles, -90, 90), Radius: math.Pow(10, rng.Float64()*4-1.75)}
		in.Radius = min(in.Radius, 180)
		c, err := newCone(in)
		if err != nil {
			t.Fatal(err)
		}
		// A point about as far away as the radius, or anywhere.
		a, d := pick(edges, 0, 360), pick(poles, -90, 90)
		if rng.IntN(4) > 0 {
			a, d = away(in, in.Radius*(0.5+rng.Float64()), rng.Float64()*2*math.Pi)
		}
		near := separation(in.RightAscension, in.Declination, a, d)
		if math.Abs(near-in.Radius) < 1e-6 {
			continue // rounding decides
		}
		node := at(a, d)
		if got, want := c.contains(node), near < in.Radius; got != want {
			t.Fatalf("%+v and (%v, %v), %v away: %v", in, a, d, near, got)
		}
		if near > in.Radius {
			outside++
			continue
		}
		inside++

		keys := c.cells()
		if found := slices.ContainsFunc(activityKeys(node), func(k Key) bool { return slices.Contains(keys, k) }); keys != nil && !found {
			t.Fatalf("%+v contains (%v, %v), and no key of the index leads to it: %v", in, a, d, keys)
		}
	}
	if inside < 10_000 || outside < 10_000 {
		t.Errorf("%d inside, %d outside: too few", inside, outside)
	}
}

// away is the point at a distance and a bearing from the middle of a cone, all in degrees but the bearing.
func away(from bff.ConeInput, distance, bearing float64) (rightAscension, declination float64) {
	d, r := radians(from.Declination), radians(distance)
	declination = math.Asin(math.Max(-1, math.Min(1, math.Sin(d)*math.Cos(r)+math.Cos(d)*math.Sin(r)*math.Cos(bearing))))
	turn := math.Atan2(math.Sin(bearing)*math.Sin(r)*math.Cos(d), math.Cos(r)-math.Sin(d)*math.Sin(declination))
	rightAscension = math.Mod(from.RightAscension+turn*180/math.Pi+720, 360)
	return rightAscension, declination * 180 / math.Pi
}

// separation is the angle between two points by their unit vectors, in degrees.
func separation(a1, d1, a2, d2 float64) float64 {
	x1, y1, z1 := vector(a1, d1)
	x2, y2, z2 := vector(a2, d2)
	cross := math.Hypot(math.Hypot(y1*z2-z1*y2, z1*x2-x1*z2), x1*y2-y1*x2)
	return math.Atan2(cross, x1*x2+y1*y2+z1*z2) * 180 / math.Pi
}

func vector(a, d float64) (x, y, z float64) {
	return math.Cos(radians(d)) * math.Cos(radians(a)), math.Cos(radians(d)) * math.Sin(radians(a)), math.Sin(radians(d))
}

func at(rightAscension, declination float64) *bff.Activity {
	return &bff.Activity{Sky: &bff.SkyCoordinates{RightAscension: rightAscension, Declination: declination, Epoch: "J2000"}}
}
