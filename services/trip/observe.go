package trip

import "math"

// Rejection is the reason why a fix does not count for the distance; "" for a fix that counts.
type Rejection string

// The reasons to store a fix without counting it.
const (
	LowAccuracy Rejection = "LOW_ACCURACY" // worse than MaxAccuracy
	OutOfOrder  Rejection = "OUT_OF_ORDER" // not later than the last counted fix, or long before the start
	TooFast     Rejection = "TOO_FAST"     // implies more than MaxSpeed since the last counted fix
	NoPosition  Rejection = "NO_POSITION"  // the end of a ride at exactly 0, 0: the recorder had no position
)

// The limits of a counted fix.
const (
	MaxAccuracy = 100.0 // metres
	MaxSpeed    = 80.0  // metres a second
)

// Observe adds a position to the track. It returns the changed trip, and the fix to store.
//
// A counted fix moves the trip forward and adds the great-circle distance from the last counted fix, unless a segment
// started in between, because that way was not observed. The measurement starts at the first counted fix. A start
// position of poor accuracy is the start of the trip but not of the measurement, because it could add as much as its
// error to the distance. Observe adds nothing to the distance of a meter.
func Observe(t Trip, p Position) (Trip, Fix) {
	t.Fixes++
	fix := Fix{Position: p, Ordinal: t.Fixes, Rejection: judge(t, p)}
	if !fix.Counted() {
		late := t.Last != nil && p.At.Before(t.Last.At) // a segment that starts before Last does not affect the way after it
		t.Gap = t.Gap || p.StartsSegment && !late
		return t, fix
	}
	if t.Last != nil && !t.Gap && !p.StartsSegment && t.DistanceSource == FromTrack {
		t.DistanceMetres += haversine(*t.Last, p)
	}
	t.Last, t.Gap = &p, false
	return t, fix
}

func judge(t Trip, p Position) Rejection {
	switch {
	case p.Accuracy != nil && *p.Accuracy > MaxAccuracy:
		return LowAccuracy
	case t.Source == "" && p.At.Before(t.Start.At.Add(-ClockTolerance)):
		return OutOfOrder
	case t.Last == nil:
		return ""
	case !p.At.After(t.Last.At):
		return OutOfOrder
	case haversine(*t.Last, p) > MaxSpeed*p.At.Sub(t.Last.At).Seconds():
		return TooFast
	}
	return ""
}

func observeAll(t Trip, positions []Position) (Trip, []Fix) {
	fixes := make([]Fix, len(positions))
	for i, p := range positions {
		t, fixes[i] = Observe(t, p)
	}
	return t, fixes
}

// earthRadius is the mean radius R1 of the Earth in metres, as the IUGG defines it (H. Moritz, Geodetic Reference
// System 1980, Journal of Geodesy 74, 2000).
const earthRadius = 6371008.8

// haversine returns the great-circle distance in metres on a sphere of the Earth's mean radius (R. W. Sinnott,
// Virtues of the Haversine, Sky and Telescope 68, 1984).
func haversine(a, b Position) float64 {
	lat1, lat2 := radians(a.Latitude), radians(b.Latitude)
	sinLat := math.Sin((lat2 - lat1) / 2)
	sinLon := math.Sin(radians(b.Longitude-a.Longitude) / 2)
	h := sinLat*sinLat + math.Cos(lat1)*math.Cos(lat2)*sinLon*sinLon
	return 2 * earthRadius * math.Asin(math.Sqrt(min(1, h)))
}

func radians(degrees float64) float64 { return degrees * math.Pi / 180 }
