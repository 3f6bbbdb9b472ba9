package trip_test

import (
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/sluicehq/sluice/services/trip"
)

func noon() time.Time { return time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC) }

// north returns a position a number of metres north of the equator, a number of seconds after noon.
func north(metres, seconds float64) trip.Position {
	const metresPerDegree = 6371008.8 * math.Pi / 180
	return trip.Position{Latitude: metres / metresPerDegree, Longitude: 11, At: noon().Add(time.Duration(seconds * float64(time.Second)))}
}

func accurate(p trip.Position, metres float64) trip.Position {
	p.Accuracy = &metres
	return p
}

func segment(p trip.Position) trip.Position {
	p.StartsSegment = true
	return p
}

func observe(t trip.Trip, positions ...trip.Position) (trip.Trip, []trip.Rejection) {
	var why []trip.Rejection
	for _, p := range positions {
		var fix trip.Fix
		t, fix = trip.Observe(t, p)
		why = append(why, fix.Rejection)
	}
	return t, why
}

func TestObserveVariousFixesCountsValidOnes(t *testing.T) {
	t.Parallel()
	type fixes = []trip.Position
	type reasons = []trip.Rejection
	for name, tt := range map[string]struct {
		fixes  fixes
		want   reasons
		metres float64
	}{
		"the first is no way":              {fixes{north(0, 0)}, reasons{""}, 0},
		"ways add up":                      {fixes{north(0, 0), north(100, 10), north(50, 20)}, reasons{"", "", ""}, 150},
		"100 m of accuracy count":          {fixes{north(0, 0), accurate(north(100, 10), 100)}, reasons{"", ""}, 100},
		"more do not":                      {fixes{north(0, 0), accurate(north(100, 10), 100.01), north(200, 20)}, reasons{"", trip.LowAccuracy, ""}, 200},
		"the same time is out of order":    {fixes{north(0, 0), north(100, 10), north(200, 10)}, reasons{"", "", trip.OutOfOrder}, 100},
		"an earlier time is out of order":  {fixes{north(0, 0), north(100, 10), north(50, 5), north(200, 20)}, reasons{"", "", trip.OutOfOrder, ""}, 200},
		"order is by what counted":         {fixes{north(0, 0), accurate(north(100, 20), 500), north(100, 10)}, reasons{"", trip.LowAccuracy, ""}, 100},
		"just 80 m/s count":                {fixes{north(0, 0), north(799.999, 10)}, reasons{"", ""}, 799.999},
		"more than 80 m/s do not":          {fixes{north(0, 0), north(801, 10), north(300, 20)}, reasons{"", trip.TooFast, ""}, 300},
		"speed is from what counted":       {fixes{north(0, 0), north(5000, 10), north(5010, 11)}, reasons{"", trip.TooFast, trip.TooFast}, 0},
		"a microsecond is time":            {fixes{north(0, 0), north(0, 1e-6)}, reasons{"", ""}, 0},
		"a segment's way is not added":     {fixes{north(0, 0), segment(north(100, 10)), north(150, 20)}, reasons{"", "", ""}, 50},
		"a pause outlives a fix not taken": {fixes{north(0, 0), segment(accurate(north(100, 10), 500)), north(120, 20), north(150, 30)}, reasons{"", trip.LowAccuracy, "", ""}, 30},
		"a pause at the time of the last":  {fixes{north(0, 0), north(10, 10), segment(north(90, 10)), north(100, 20)}, reasons{"", "", trip.OutOfOrder, ""}, 10},
		"a pause in the past is no pause":  {fixes{north(0, 0), north(10, 10), segment(north(5, 5)), north(100, 20)}, reasons{"", "", trip.OutOfOrder, ""}, 100},
		"a poor start is no anchor":        {fixes{accurate(north(0, 0), 500), north(400, 10), north(450, 20)}, reasons{trip.LowAccuracy, "", ""}, 50},
		"long before the start":            {fixes{accurate(north(0, 0), 500), north(0, -301), north(400, -300), north(410, 1)}, reasons{trip.LowAccuracy, trip.OutOfOrder, "", ""}, 10},
	} {
		got, why := observe(trip.Trip{Start: north(0, 0), DistanceSource: trip.FromTrack}, tt.fixes...)
		if len(why) != len(tt.want) || got.Fixes != int64(len(tt.fixes)) {
			t.Errorf("%s: %d fixes kept", name, got.Fixes)
			continue
		}
		for i, w := range tt.want {
			if why[i] != w {
				t.Errorf("%s: fix %d is %q, want %q", name, i, why[i], w)
			}
		}
		if math.Abs(got.DistanceMetres-tt.metres) > 1e-6 {
			t.Errorf("%s: %v metres, want %v", name, got.DistanceMetres, tt.metres)
		}
	}
}

func TestObserveMeteredTripKeepsItsDistance(t *testing.T) {
	t.Parallel()
	got, _ := observe(trip.Trip{DistanceSource: trip.FromMeter, DistanceMetres: 7}, north(0, 0), north(100, 10))
	if got.DistanceMetres != 7 {
		t.Errorf("%v metres", got.DistanceMetres)
	}
}

func TestHaversineKnownDistancesMatch(t *testing.T) {
	t.Parallel()
	const quarter = 6371008.8 * math.Pi / 2
	for name, tt := range map[string]struct {
		a, b [2]float64
		want float64
	}{
		"along the equator":       {[2]float64{0, 0}, [2]float64{0, 90}, quarter},
		"to the pole":             {[2]float64{0, 33}, [2]float64{90, -120}, quarter},
		"to the other side":       {[2]float64{12, 34}, [2]float64{-12, -146}, 2 * quarter},
		"over the date line":      {[2]float64{0, 179.5}, [2]float64{0, -179.5}, quarter / 90},
		"nowhere":                 {[2]float64{48.1, 11.5}, [2]float64{48.1, 11.5}, 0},
		"a pole is one place":     {[2]float64{90, 10}, [2]float64{90, 170}, 0},
		"two names of a meridian": {[2]float64{10, 180}, [2]float64{10, -180}, 0},
	} {
		from := trip.Position{Latitude: tt.a[0], Longitude: tt.a[1], At: noon()}
		to := trip.Position{Latitude: tt.b[0], Longitude: tt.b[1], At: noon().AddDate(1, 0, 0)}
		got, _ := observe(trip.Trip{DistanceSource: trip.FromTrack}, from, to)
		// Near the antipode the formula is exact to half the digits of a float: a metre.
		if math.Abs(got.DistanceMetres-tt.want) > 1e-3+tt.want*2e-8 {
			t.Errorf("%s: %v, want %v", name, got.DistanceMetres, tt.want)
		}
	}
}

func TestObserveRecordedDrivesHasKnownDistances(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		file, pattern, layout string
		latitude, longitude   int // groups of the pattern
		fixes                 int
		metres                float64
	}{
		{"munich-drive-15s.json", `POINT\((\S+) (\S+)\)","time":"([^"]+)"`, "2006-01-02 15:04:05-0700", 2, 1, 80, 13371},
		{"around-visnjan-with-car.gpx", `<trkpt lat="([^"]+)" lon="([^"]+)">.*?<time>([^<]+)<`, time.RFC3339, 1, 2, 104, 2733},
	} {
		text, err := os.ReadFile(filepath.Join("..", "..", "testdata", "trips", tt.file))
		if err != nil {
			t.Fatal(err)
		}
		drive := trip.Trip{DistanceSource: trip.FromTrack}
		for _, match := range regexp.MustCompile(tt.pattern).FindAllStringSubmatch(string(text), -1) {
			var fix trip.Fix
			drive, fix = trip.Observe(drive, trip.Position{
				Latitude: number(t, match[tt.latitude]), Longitude: number(t, match[tt.longitude]), At: parseTime(t, tt.layout, match[3]),
			})
			if !fix.Counted() {
				t.Errorf("%s: fix %d is %s", tt.file, fix.Ordinal, fix.Rejection)
			}
		}
		if drive.Fixes != int64(tt.fixes) || math.Round(drive.DistanceMetres) != tt.metres {
			t.Errorf("%s: %d fixes, %v metres", tt.file, drive.Fixes, drive.DistanceMetres)
		}
	}
}

func number(t *testing.T, s string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func parseTime(t *testing.T, layout, s string) time.Time {
	t.Helper()
	at, err := time.Parse(layout, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}
