// Package recordings says what a recording read from a file is made of: the
// fixes and rides of trips, telemetry readings, telescope observations, water
// logs, and the devices that made them.
//
// The readers are beside it, one a format: gpx, table (CSV and JSON), sls and
// fitbit; package open picks one by what the file holds. All of them keep the
// same promises:
//
//   - They stream. What they hold does not grow with the file, and one element
//     of it (a row, a point) may take 1 MiB.
//   - One bad row is a [Fault], which names the line and the reason; reading
//     goes on. Any other error is the last thing a reader yields.
//   - What they yield is finite, in range and valid UTF-8.
//   - A sequence reads its file, so it can be ranged over once.
package recordings

import (
	"fmt"
	"iter"
	"time"
)

// Fault is one bad row of a file that is otherwise read on.
type Fault struct {
	Line   int // counted from 1
	Reason string
}

// Error says the line and the reason.
func (f Fault) Error() string {
	return fmt.Sprintf("line %d: %s", f.Line, f.Reason)
}

// Options is what the caller knows and the file may not say.
type Options struct {
	// Columns names the header that holds a value, by the value's name:
	// {"latitude": "Breite"}. Values not named here are found by the usual names.
	Columns map[string]string
	// Location is where times without an offset were written down; nil is UTC.
	Location *time.Location
	// Start is when a GPX track without any time began. Zero leaves it to the
	// time the file's metadata gives.
	Start time.Time
}

// Zone is the location of times without an offset.
func (o Options) Zone() *time.Location {
	if o.Location == nil {
		return time.UTC
	}
	return o.Location
}

// Position is a place on the WGS 84 ellipsoid, in degrees.
type Position struct {
	Latitude  float64 // -90 to 90
	Longitude float64 // -180 to 180
}

// Fix is where a moving thing was at one time.
type Fix struct {
	Trip           string // the recording's own key for the trip, unique within the file
	Vehicle        string // the recording's own key, "" when it names none
	At             time.Time
	Latitude       float64 // degrees, WGS 84
	Longitude      float64 // degrees, WGS 84
	AccuracyMetres *float64
	// StartsSegment says that the recording paused before this fix, so that the
	// way from the fix before it is not known. False for the first of a trip.
	StartsSegment bool
	Line          int
}

// Ride is a finished trip of which only the two ends are known.
type Ride struct {
	// Key is a hash of what the row says: the same ride has the same key in
	// whatever file, delimiter or order of columns it is met again.
	Key           string
	Vehicle       string // "" when unknown
	Start, End    time.Time
	From, To      Position
	MeteredMetres *float64
	Passengers    int // 0 when unknown
	Line          int
}

// Trips holds the one of the two kinds of rows that a file of trips has; the
// other is nil.
type Trips struct {
	Fixes iter.Seq2[Fix, error]
	Rides iter.Seq2[Ride, error]
}

// Reading is one measured value.
type Reading struct {
	// Key is a hash of device, time and value: the same reading has the same
	// key wherever it is met again.
	Key    string
	Device string // the recording's own key, "" when it names none
	At     time.Time
	Value  float64
	Line   int
}

// Statuses of an Observation that most callers ask for. Others are passed on as
// the file has them, in upper case.
const (
	StatusNew    = "NEW"
	StatusDone   = "DONE"
	StatusFailed = "FAILED"
)

// Observation is one request to a telescope and what became of it.
type Observation struct {
	// Key names the request whatever its status, so that a schedule read again
	// after the night says which earlier request it speaks of.
	Key        string
	Title      string
	Site       string
	Telescope  string
	Instrument string // what the light went through: filter or camera
	Programme  string // the schedule file the request came from
	Observer   string
	Target     string
	Status     string
	Start, End time.Time // of the exposure
	// RightAscension (0 to 360) and Declination (-90 to 90) are in degrees, and
	// nil for what has no fixed place on the sky, such as a planet.
	RightAscension *float64
	Declination    *float64
	Epoch          string            // of the coordinates, "J2000"; "" without them
	Fields         map[string]string // what else the file says, by snake_case name
	Line           int
}

// WaterLog is one drink, or the sum of a day where the file has no more.
type WaterLog struct {
	LogID    string // a 64-bit integer in decimal; for the sum of a day, the day
	AmountMl float64
	Day      time.Time // midnight in Options.Location; zero when the file does not say
	Line     int
}

// Kinds of Device.
const (
	KindGateway = "GATEWAY"
	KindCamera  = "CAMERA"
	KindSensor  = "SENSOR"
	KindVehicle = "VEHICLE"
)

// Device is one line of an inventory. Both coordinates are there or neither.
type Device struct {
	Key       string
	Name      string
	Kind      string
	Labels    map[string]string
	Latitude  *float64
	Longitude *float64
	Line      int
}
