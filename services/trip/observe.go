package trip

import (
	"math"
	"slices"
	"time"
)

// Rejection is the reason why a fix does not count; "" for a fix that counts.
type Rejection string

// The reasons of rejections.
const (
	LowAccuracy   Rejection = "LOW_ACCURACY"   // worse than MaxAccuracy
	OutOfOrder    Rejection = "OUT_OF_ORDER"   // not later than the last counted fix, or long before the start
	TooFast       Rejection = "TOO_FAST"       // implies more than the speed limit since the last counted fix
	NoPosition    Rejection = "NO_POSITION"    // exactly 0, 0: the recorder or the device had no position
	VehicleActive Rejection = "VEHICLE_ACTIVE" // sent by the rider within RiderSilence of a counted fix of the vehicle
)

// The limits of a counted fix.
const (
	MaxAccuracy  = 100.0            // metres
	MaxSpeed     = 80.0             // metres a second, for a trip without a speed limit
	RiderSilence = 60 * time.Second // silence of the vehicle after which a fix of the rider counts

	// anchorFixes is the number of successive fixes, in agreement with each other, that replace an anchor.
	anchorFixes = 3
	// noiseRadius is in metres. The noise of a parked vehicle with 5 m accuracy stays within it for days: the
	// farthest of 28,800 normally distributed errors is at about 23 m, and the anchor has an error too.
	noiseRadius = 50.0
	// noiseFactor limits the distance within noiseRadius of a point to a multiple of the farthest distance from it.
	noiseFactor = 2
)

// Measurement is the state of the distance between two fixes.
type Measurement struct {
	// The distance is Base plus the part since Origin. Within noiseRadius of Origin that part is the length of the
	// Path, but at most noiseFactor times the Farthest distance from Origin, so that the noise of a parked vehicle
	// does not add up.
	Origin   *Position `json:"origin,omitempty"`
	Base     float64   `json:"base,omitempty"`
	Path     float64   `json:"path,omitempty"`
	Farthest float64   `json:"farthest,omitempty"`

	Support      int   `json:"support,omitempty"`      // counted fixes since the anchor was replaced
	FirstOrdinal int64 `json:"firstOrdinal,omitempty"` // of the first of them
	Candidates   []Fix `json:"candidates,omitempty"`   // rejected fixes that agree with each other

	// Vehicle is the state at the last counted fix of the vehicle, while the last counted fix is the rider's.
	Vehicle   *Anchor    `json:"vehicle,omitempty"`
	VehicleAt *time.Time `json:"vehicleAt,omitempty"` // the time of the last counted fix of the vehicle
	ByRider   bool       `json:"byRider,omitempty"`   // the last counted fix is the rider's
}

// Anchor is a state to which the measurement can return.
type Anchor struct {
	Last     Position  `json:"last"`
	Distance float64   `json:"distance"`
	Origin   *Position `json:"origin,omitempty"`
	Base     float64   `json:"base,omitempty"`
	Path     float64   `json:"path,omitempty"`
	Farthest float64   `json:"farthest,omitempty"`
}

// Recount is a stored fix whose rejection has changed.
type Recount struct {
	Ordinal       int64
	Before, After Rejection
}

// Observe adds a position to the track. It returns the changed trip, and the fix to store.
//
// A counted fix adds the great-circle distance from the last counted fix, unless a segment started in between. The
// measurement starts at the first counted fix. A start position of poor accuracy is the start of the trip but not of
// the measurement, because it could add its error to the distance. The distance of a meter is unchanged.
//
// The last counted fix is the anchor of the rules of order and speed. Successive fixes that disagree with it and
// agree with each other replace it: they count, and an anchor without support is rejected. So one wrong fix cannot
// exclude all later ones.
func Observe(t Trip, p Position) (Trip, Fix) {
	t.Fixes++
	fix := Fix{Position: p, Ordinal: t.Fixes, Rejection: t.judge(p)}
	if !fix.Counted() {
		late := t.Last != nil && p.At.Before(t.Last.At) // a segment that starts before Last has no effect after it
		t.Gap = t.Gap || p.StartsSegment && !late
		return t.considerCandidate(fix)
	}
	t.Measurement.Candidates = nil
	return t.count(fix), fix
}

func (t Trip) count(fix Fix) Trip {
	p, m := fix.Position, &t.Measurement
	if t.Source == "" && t.Start.isNull() {
		t.Start.Latitude, t.Start.Longitude, t.Start.Accuracy = p.Latitude, p.Longitude, p.Accuracy
	}
	if t.Last == nil || t.Gap || p.StartsSegment || m.Origin == nil {
		m.Origin, m.Base, m.Path, m.Farthest = &p, t.DistanceMetres, 0, 0
	} else {
		m.Path += haversine(*t.Last, p)
		m.Farthest = max(m.Farthest, haversine(*m.Origin, p))
		if t.DistanceSource == FromTrack {
			t.DistanceMetres = m.Base + min(m.Path, noiseFactor*m.Farthest)
		}
		if m.Farthest > noiseRadius {
			m.Origin, m.Base, m.Path, m.Farthest = &p, t.DistanceMetres, 0, 0
		}
	}
	if m.Support++; m.Support == 1 {
		m.FirstOrdinal = fix.Ordinal
	}
	t.Last, t.Gap = &p, false
	return t
}

// considerCandidate handles a rejected fix. A fix that only disagrees with the anchor is a candidate. Enough
// candidates replace the anchor.
func (t Trip) considerCandidate(fix Fix) (Trip, Fix) {
	m := &t.Measurement
	lone := t.Source != "" && m.Support == 1 // the time of the only fix of a recording may be wrong
	if t.Last == nil || fix.Rejection != TooFast && !(fix.Rejection == OutOfOrder && lone) {
		return t, fix
	}
	candidates := slices.Clone(m.Candidates)
	if n := len(candidates); n > 0 {
		last := candidates[n-1].Position
		if !fix.At.After(last.At) || t.exceedsLimit(last, fix.Position) {
			candidates = nil
		}
	}
	candidates = append(candidates, fix)
	if m.Candidates = candidates; len(candidates) < anchorFixes {
		return t, fix
	}
	byVehicle := m.VehicleAt != nil && !m.ByRider // the rider's fixes do not reject a fix of the vehicle
	if m.Support == 1 && !byVehicle {
		t.recounts = append(t.recounts, Recount{Ordinal: m.FirstOrdinal, After: fix.Rejection})
		if t.Source != "" {
			t.Start = candidates[0].Position // a recording starts at its first counted fix
		}
	}
	m.Candidates, m.Origin, m.Support, t.Gap = nil, nil, 0, true
	for _, c := range candidates {
		if c.Ordinal != fix.Ordinal {
			t.recounts = append(t.recounts, Recount{Ordinal: c.Ordinal, Before: c.Rejection})
		}
		t = t.count(c)
	}
	fix.Rejection = ""
	return t, fix
}

func (t Trip) judge(p Position) Rejection {
	switch {
	case p.Accuracy != nil && *p.Accuracy > MaxAccuracy:
		return LowAccuracy
	case t.Source == "" && p.At.Before(t.Start.At.Add(-ClockTolerance)):
		return OutOfOrder
	case t.Last == nil:
		return ""
	case !p.At.After(t.Last.At):
		return OutOfOrder
	case t.exceedsLimit(*t.Last, p):
		return TooFast
	}
	return ""
}

func (t Trip) exceedsLimit(from, to Position) bool {
	limit := t.MaxSpeed
	if limit == 0 {
		limit = MaxSpeed
	}
	return haversine(from, to) > limit*to.At.Sub(from.At).Seconds()
}

// reporter is the sender of a fix.
type reporter int

const (
	recorder reporter = iota
	rider
	vehicle
)

// observeAll observes positions of one reporter in order. It returns the fixes to store, and the stored fixes whose
// rejection has changed. A fix of the rider is measured as not later than now, but stored with its own time, which
// identifies duplicates.
func observeAll(t Trip, by reporter, positions []Position, now time.Time) (Trip, []Fix, []Recount) {
	fixes := make([]Fix, len(positions))
	first := t.Fixes + 1
	for i, p := range positions {
		measured := p
		if by == rider && p.At.After(now) {
			measured.At = now
		}
		t, fixes[i] = t.observeBy(by, measured)
		fixes[i].At = p.At
	}
	var recounts []Recount
	for _, r := range t.recounts {
		if r.Ordinal >= first {
			fixes[r.Ordinal-first].Rejection = r.After
		} else {
			recounts = append(recounts, r)
		}
	}
	t.recounts = nil
	return t, fixes, recounts
}

// observeBy applies the rules of the reporter. A fix of the rider counts only while the vehicle is silent, and never
// displaces the anchor of the vehicle: a fix of the vehicle that disagrees with the rider's fixes is measured from
// the vehicle's last counted fix.
func (t Trip) observeBy(by reporter, p Position) (Trip, Fix) {
	m := &t.Measurement
	if p.isNull() {
		return t.reject(p, NoPosition)
	}
	switch {
	case by == rider && m.VehicleAt != nil && p.At.Before(m.VehicleAt.Add(RiderSilence)):
		return t.reject(p, VehicleActive)
	case by == vehicle && m.ByRider:
		t = t.returnToVehicle(p)
	}
	before := t
	t, fix := Observe(t, p)
	if !fix.Counted() {
		return t, fix
	}
	m = &t.Measurement
	if by == rider && !m.ByRider && m.VehicleAt != nil && before.Last != nil {
		b := before.Measurement
		m.Vehicle = &Anchor{Last: *before.Last, Distance: before.DistanceMetres, Origin: b.Origin, Base: b.Base, Path: b.Path, Farthest: b.Farthest}
	}
	m.ByRider = by == rider
	if by == vehicle {
		m.Vehicle, m.VehicleAt = nil, &p.At
	}
	return t, fix
}

// returnToVehicle restores the anchor of the vehicle if its next fix disagrees with the rider's fixes.
func (t Trip) returnToVehicle(next Position) Trip {
	if why := t.judge(next); why != TooFast && why != OutOfOrder {
		return t
	}
	m := &t.Measurement
	a := m.Vehicle
	switch {
	case a == nil && !next.At.Before(t.Start.At.Add(-ClockTolerance)): // the vehicle has sent nothing yet
		t.Last, m.Origin, m.Candidates, m.Support, t.Gap = nil, nil, nil, 0, true
	case a != nil && next.At.After(a.Last.At):
		last := a.Last
		t.Last, t.DistanceMetres = &last, a.Distance
		m.Origin, m.Base, m.Path, m.Farthest, m.Candidates = a.Origin, a.Base, a.Path, a.Farthest, nil
	}
	return t
}

func (t Trip) reject(p Position, why Rejection) (Trip, Fix) {
	t.Fixes++
	t.Gap = t.Gap || p.StartsSegment && (t.Last == nil || p.At.After(t.Last.At))
	return t, Fix{Position: p, Ordinal: t.Fixes, Rejection: why}
}

// earthRadius is the mean radius R1 of the Earth in metres, as the IUGG defines it (H. Moritz, Geodetic Reference
// System 1980, Journal of Geodesy 74, 2000).
const earthRadius = 6371008.8

// haversine returns the great-circle distance in metres on a sphere of the Earth's mean radius (R. W. Sinnott, Virtues
// of the Haversine, Sky and Telescope 68, 1984).
func haversine(a, b Position) float64 {
	lat1, lat2 := radians(a.Latitude), radians(b.Latitude)
	sinLat := math.Sin((lat2 - lat1) / 2)
	sinLon := math.Sin(radians(b.Longitude-a.Longitude) / 2)
	h := sinLat*sinLat + math.Cos(lat1)*math.Cos(lat2)*sinLon*sinLon
	return 2 * earthRadius * math.Asin(math.Sqrt(min(1, h)))
}

func radians(degrees float64) float64 { return degrees * math.Pi / 180 }
