package gpx

import (
	"fmt"
	"math"
	"time"

	"github.com/sluicehq/sluice/recordings"
	"github.com/sluicehq/sluice/recordings/internal/value"
)

const (
	// maxWaiting bounds the buffered points without a time.
	maxWaiting = 10_000
	// assumedSpeed is the speed of a track without any time, in m/s: a car in town.
	assumedSpeed = 10
)

// track times points without a time, and yields all points of a track in order. It buffers only the points since the
// last timed point.
type track struct {
	number int
	key    string
	start  time.Time // of a track without any time; zero if unknown
	out    sink

	onPace  func() // called for each point at the assumed speed
	points  int    // read so far, including bad points
	yielded bool   // at least one point
	paused  bool   // before the next point

	known   *recordings.Fix  // the last point with a time
	pacing  *recordings.Fix  // the last point timed by assumedSpeed
	waiting []recordings.Fix // points since then, without a time
	lost    lost
}

// lost counts a run of points that cannot be timed.
type lost struct {
	points, line int
	paused       bool
}

// rename adds the name of the track to its key, before the first fix.
func (t *track) rename(text string) {
	name, err := value.Text(text)
	if err == nil && name != "" && t.points == 0 {
		t.key = fmt.Sprintf("%d: %.200s", t.number, name)
	}
}

// add appends the next point. A point without a time has the zero time.
func (t *track) add(fix recordings.Fix) error {
	fix.Trip, fix.StartsSegment = t.key, t.paused
	t.paused = false
	switch {
	case !fix.At.IsZero():
		return t.addTimed(fix)
	case t.pacing != nil:
		return t.pace(fix)
	case t.lost.points > 0, t.known == nil && t.start.IsZero():
		t.lose(fix)
		return nil
	}
	t.waiting = append(t.waiting, fix)
	if len(t.waiting) <= maxWaiting {
		return nil
	}
	if t.known == nil {
		return t.paceWaiting()
	}
	t.loseWaiting()
	return nil
}

func (t *track) addTimed(fix recordings.Fix) error {
	if t.known == nil {
		t.loseWaiting()
	} else if err := t.interpolate(fix); err != nil {
		return err
	}
	if err := t.reportLost("%d points without a time in a row, from this one on, that cannot be given one"); err != nil {
		return err
	}
	t.known, t.pacing = &fix, nil
	return t.yield(fix)
}

func (t *track) end() error {
	switch {
	case t.pacing != nil:
		return t.reportLost("%d points at the assumed speed are beyond the last year that can be")
	case t.known != nil:
		t.loseWaiting()
		return t.reportLost("%d points without a time after the last that has one")
	case !t.start.IsZero():
		return t.paceWaiting()
	}
	return t.reportLost("none of the %d points has a time, and neither the file nor the caller says when the track began")
}

// interpolate times the buffered points by their share of the distance from the last timed point to next, or evenly
// if the distance is zero.
func (t *track) interpolate(next recordings.Fix) error {
	whole, from := 0.0, *t.known
	for _, fix := range append(t.waiting, next) {
		whole += metres(from, fix)
		from = fix
	}
	span := next.At.Sub(t.known.At).Seconds()
	gone, from := 0.0, *t.known
	for i, fix := range t.waiting {
		gone += metres(from, fix)
		from = fix
		share := float64(i+1) / float64(len(t.waiting)+1)
		if whole > 0 {
			share = gone / whole
		}
		fix.At = t.known.At.Add(seconds(span * share))
		if err := t.yield(fix); err != nil {
			return err
		}
	}
	t.waiting = t.waiting[:0]
	return nil
}

func (t *track) paceWaiting() error {
	for _, fix := range t.waiting {
		if err := t.pace(fix); err != nil {
			return err
		}
	}
	t.waiting = nil
	return nil
}

// pace times a point by its distance from the previous one, at assumedSpeed.
func (t *track) pace(fix recordings.Fix) error {
	t.onPace()
	fix.At = t.start
	if before := t.pacing; before != nil {
		fix.At = before.At.Add(seconds(metres(*before, fix) / assumedSpeed))
	}
	if fix.At.Year() > value.LastYear {
		t.lose(fix)
		return nil
	}
	t.pacing = &fix
	return t.yield(fix)
}

func (t *track) loseWaiting() {
	for _, fix := range t.waiting {
		t.lose(fix)
	}
	t.waiting = nil
}

func (t *track) lose(fix recordings.Fix) {
	if t.lost.points++; t.lost.points == 1 {
		t.lost.line = fix.Line
	}
	t.lost.paused = t.lost.paused || fix.StartsSegment
}

func (t *track) reportLost(format string) error {
	if t.lost.points == 0 {
		return nil
	}
	n, line := t.lost.points, t.lost.line
	t.lost.points = 0
	return t.out.fault(line, "track %d: "+format, t.number, n)
}

// yield yields a point. Lost points before it count as a pause.
func (t *track) yield(fix recordings.Fix) error {
	fix.StartsSegment = t.yielded && (fix.StartsSegment || t.lost.paused)
	t.yielded, t.lost.paused = true, false
	return t.out.fix(fix)
}

func seconds(s float64) time.Duration {
	return time.Duration(s * float64(time.Second))
}

// metres is the great-circle distance by the haversine formula, on a sphere with the Earth's mean radius (IUGG:
// 6371.0088 km).
func metres(a, b recordings.Fix) float64 {
	const radius = 6371008.8
	lat1, lat2 := radians(a.Latitude), radians(b.Latitude)
	sinLat := math.Sin((lat2 - lat1) / 2)
	sinLon := math.Sin(radians(b.Longitude-a.Longitude) / 2)
	h := sinLat*sinLat + math.Cos(lat1)*math.Cos(lat2)*sinLon*sinLon
	return 2 * radius * math.Asin(math.Sqrt(min(1, h)))
}

func radians(degrees float64) float64 { return degrees * math.Pi / 180 }
