package storetest

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sluicehq/sluice/services/activity"
)

func observedAt(rightAscension, declination float64) activity.Activity {
	return with(note(0), func(a *activity.Activity) {
		a.Sky = &activity.Sky{RightAscension: rightAscension, Declination: declination, Epoch: activity.J2000}
	})
}

func coneTable(t *testing.T, s activity.Store) {
	const hair = 1e-9 // degrees
	create(t, s, note(0))
	for _, tt := range []struct {
		name            string
		cone            activity.Cone
		inside, outside activity.Sky
	}{
		{"small", activity.Cone{RightAscension: 10, Declination: 20, Radius: 1}, activity.Sky{RightAscension: 10, Declination: 21}, activity.Sky{RightAscension: 10, Declination: 21 + hair}},
		{"tiny", activity.Cone{RightAscension: 10, Declination: 20, Radius: hair}, activity.Sky{RightAscension: 10, Declination: 20}, activity.Sky{RightAscension: 10, Declination: 20 + 2*hair}},
		{"over RA 0, from below", activity.Cone{RightAscension: 359.5, Declination: 0, Radius: 1}, activity.Sky{RightAscension: 0.5}, activity.Sky{RightAscension: 0.5 + hair}},
		{"over RA 0, from above", activity.Cone{RightAscension: 0.5, Declination: 0, Radius: 1}, activity.Sky{RightAscension: 359.5}, activity.Sky{RightAscension: 359.5 - hair}},
		{"over the north pole", activity.Cone{RightAscension: 0, Declination: 89, Radius: 2}, activity.Sky{RightAscension: 180, Declination: 89}, activity.Sky{RightAscension: 180, Declination: 89 - hair}},
		{"over the south pole", activity.Cone{RightAscension: 90, Declination: -89, Radius: 2}, activity.Sky{RightAscension: 270, Declination: -89}, activity.Sky{RightAscension: 270, Declination: -89 + hair}},
		{"on the pole", activity.Cone{RightAscension: 77, Declination: 90, Radius: 10}, activity.Sky{RightAscension: 200, Declination: 80}, activity.Sky{RightAscension: 200, Declination: 80 - hair}},
		{"half the sky", activity.Cone{RightAscension: 0, Declination: 0, Radius: 90}, activity.Sky{RightAscension: 90, Declination: 45}, activity.Sky{RightAscension: 90 + hair, Declination: 0}},
		{"most of the sky", activity.Cone{RightAscension: 0, Declination: -90, Radius: 179}, activity.Sky{RightAscension: 33, Declination: 89}, activity.Sky{RightAscension: 33, Declination: 89 + hair}},
		{"nearly all of the sky", activity.Cone{RightAscension: 0, Declination: 0, Radius: 180 - hair}, activity.Sky{RightAscension: 180 - 2*hair}, activity.Sky{RightAscension: 180}},
	} {
		in := create(t, s, observedAt(tt.inside.RightAscension, tt.inside.Declination)).ID
		out := create(t, s, observedAt(tt.outside.RightAscension, tt.outside.Declination)).ID
		got := listed(t, s, every(activity.Filter{Cone: &tt.cone}))
		if !slices.Contains(got, in) || slices.Contains(got, out) {
			t.Errorf("%s: inside %v, outside %v", tt.name, slices.Contains(got, in), slices.Contains(got, out))
		}
	}
	whole := activity.Cone{RightAscension: 12, Declination: 34, Radius: 180}
	if got := listed(t, s, every(activity.Filter{Cone: &whole})); len(got) != 20 {
		t.Errorf("the whole sky has %d", len(got))
	}
}

// coneRandom lists cones whose edge is at one of the points, and a little to either side of it.
func coneRandom(t *testing.T, s activity.Store) {
	random := rand.New(rand.NewPCG(2026, 5))
	points := make([]activity.Activity, 300)
	for i := range points {
		points[i] = observedAt(randomPlace(random))
	}
	batch := make([]activity.ImportedActivity, len(points))
	for i, point := range points {
		batch[i] = imported(point, "")
	}
	doImport(t, s, batch...)
	const hair = 1e-9 // degrees
	for i := range 40 {
		ra, dec := randomPlace(random)
		through := points[i]
		distance := vincenty(ra, dec, *through.Sky)
		for _, tt := range []struct {
			radius float64
			holds  bool
		}{{distance, true}, {distance + hair, true}, {distance - hair, false}} {
			if tt.radius <= 0 || tt.radius > 180 {
				continue
			}
			cone := activity.Cone{RightAscension: ra, Declination: dec, Radius: tt.radius}
			got := listed(t, s, every(activity.Filter{Cone: &cone}))
			if slices.Contains(got, through.ID) != tt.holds {
				t.Errorf("%+v holds %+v at %v: %v", cone, *through.Sky, distance, !tt.holds)
			}
			requireWithin(t, points, cone, through.ID, got)
		}
	}
}

func requireWithin(t *testing.T, points []activity.Activity, cone activity.Cone, but string, got []string) {
	t.Helper()
	got = sorted(got)
	for _, p := range points {
		_, found := slices.BinarySearch(got, p.ID)
		distance := vincenty(cone.RightAscension, cone.Declination, *p.Sky)
		if p.ID != but && found != (distance <= cone.Radius) {
			t.Errorf("%+v holds %+v at %v: %v", cone, *p.Sky, distance, found)
		}
	}
}

func randomPlace(random *rand.Rand) (rightAscension, declination float64) {
	rightAscension, declination = 360*random.Float64(), 180*math.Asin(2*random.Float64()-1)/math.Pi
	switch random.IntN(4) {
	case 0:
		declination = 90 - 3*random.Float64()
	case 1:
		declination = -90 + 3*random.Float64()
	case 2:
		rightAscension = math.Mod(358+4*random.Float64(), 360)
	}
	return rightAscension, declination
}

// vincenty returns the great-circle distance in degrees by the formula of T. Vincenty for a sphere (Direct and Inverse
// Solutions of Geodesics on the Ellipsoid, Survey Review 23, 1975), which is accurate at all distances.
func vincenty(rightAscension, declination float64, to activity.Sky) float64 {
	const degree = math.Pi / 180
	sin1, cos1 := math.Sincos(declination * degree)
	sin2, cos2 := math.Sincos(to.Declination * degree)
	sinD, cosD := math.Sincos((to.RightAscension - rightAscension) * degree)
	across := math.Hypot(cos2*sinD, cos1*sin2-sin1*cos2*cosD)
	return math.Atan2(across, sin1*sin2+cos1*cos2*cosD) / degree
}

func coneEpochs(t *testing.T, s activity.Store) {
	var want []string
	for epoch, standard := range map[string]bool{"J2000": true, "J2000.0": true, "ICRS": true, "J2023.5": false, "B1950": false} {
		made := observedAt(10, 20)
		made.Sky.Epoch = epoch
		if create(t, s, made); standard {
			want = append(want, made.ID)
		}
	}
	got := listed(t, s, every(activity.Filter{Cone: &activity.Cone{RightAscension: 10, Declination: 20, Radius: 180}}))
	if !slices.Equal(sorted(got), sorted(want)) {
		t.Errorf("got %d of %d", len(got), len(want))
	}
}

func coneTiny(t *testing.T, s activity.Store) {
	made := create(t, s, observedAt(1e-200, 5e-324))
	for _, cone := range []activity.Cone{{Radius: 1}, {RightAscension: 1e-180, Declination: 1e-170, Radius: 1e-300}, {Radius: 100}} {
		if got := listed(t, s, every(activity.Filter{Cone: &cone})); !slices.Equal(got, []string{made.ID}) {
			t.Errorf("%+v: %v", cone, got)
		}
	}
}
