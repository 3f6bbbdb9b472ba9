// Package recordings defines the rows of recorded data: fixes and rides of trips, telemetry readings, telescope
// observations, water logs and devices.
//
// The readers are its subpackages, one per format: gpx, table (CSV and JSON), sls and fitbit; package open selects
// one by content. All readers make the same promises. They stream with bounded memory; one element (a row, a point)
// may have up to 1 MiB. A bad row is a [Fault] with its line and reason, and the reader continues; any other error is
// the last value. Values are finite, in range and valid UTF-8; a value that could only be guessed is a Fault or an
// error. A sequence consumes its file, so it can be iterated only once.
package recordings

import (
	"fmt"
	"iter"
	"time"
)

// Fault is one bad row. The reader continues after it.
type Fault struct {
	Line   int // counted from 1
	Reason string
}

// Error implements error.
func (f Fault) Error() string {
	return fmt.Sprintf("line %d: %s", f.Line, f.Reason)
}

// Options supplement values that a file may lack.
type Options struct {
	// Columns maps the name of a value to its header: {"latitude": "Breite"}. Other values use common headers.
	Columns map[string]string
	// Location is the time zone of times without an offset; nil is UTC.
	Location *time.Location
	// Start is the start of a GPX track without any time. Zero uses the time in the file's metadata.
	Start time.Time
	// Now is the current time. Measured rows more than a day later are Faults. Zero accepts any time.
	Now time.Time
	// DateOrder is the order of dates such as 02/01/2026, which are errors without it.
	DateOrder DateOrder
	// WaterUnit is the unit of the amounts in water logs; "" is Millilitres.
	WaterUnit WaterUnit
	// Assume receives each assumption of a reader once, for the report of an import. It may be nil.
	Assume func(assumption string)
}

// Assumed reports an assumption, if Assume is set.
func (o Options) Assumed(assumption string) {
	if o.Assume != nil {
		o.Assume(assumption)
	}
}

// CheckPast refuses a time more than a day after now, which allows for time zones and wrong clocks.
func (o Options) CheckPast(t time.Time) error {
	if o.Now.IsZero() || !t.After(o.Now.Add(24*time.Hour)) {
		return nil
	}
	return fmt.Errorf("%s is in the future", t.UTC().Format(time.RFC3339))
}

// DateOrder is the order of day, month and year in a date.
type DateOrder string

// The orders of dates with the year at the end.
const (
	DayMonthYear DateOrder = "DMY"
	MonthDayYear DateOrder = "MDY"
)

// WaterUnit is a unit of volume.
type WaterUnit string

// The units in which the Fitbit API returns water.
const (
	Millilitres   WaterUnit = "ml"
	USFluidOunces WaterUnit = "floz"
	USCups        WaterUnit = "cup"
)

// InMillilitres returns the factor from the unit to millilitres.
func (u WaterUnit) InMillilitres() float64 {
	switch u {
	case USFluidOunces:
		return 29.5735295625
	case USCups:
		return 236.5882365
	}
	return 1
}

// Zone returns the time zone of times without an offset.
func (o Options) Zone() *time.Location {
	if o.Location == nil {
		return time.UTC
	}
	return o.Location
}

// Position is a point on the WGS 84 ellipsoid, in degrees.
type Position struct {
	Latitude  float64 // -90 to 90
	Longitude float64 // -180 to 180
}

// Fix is the position of a moving object at one time.
type Fix struct {
	Trip           string // key of the trip, unique within the file
	Vehicle        string // key in the recording, or ""
	At             time.Time
	Latitude       float64 // degrees, WGS 84
	Longitude      float64 // degrees, WGS 84
	AccuracyMetres *float64
	// StartsSegment means that the recording paused before this fix, so the path from the previous fix is unknown. It
	// is false for the first fix of a trip.
	StartsSegment bool
	Line          int
}

// Ride is a finished trip with only a start and an end.
type Ride struct {
	// Key is a hash of the values: equal rides in any file, with any delimiter and order of columns, have the same
	// key.
	Key           string
	Trip          string // its key in the recording, "" when it has none
	Vehicle       string // "" when unknown
	Start, End    time.Time
	From, To      Position
	MeteredMetres *float64
	Passengers    int // 0 when unknown
	Line          int
}

// Trips has the rows of a file of trips: fixes or rides. The other sequence is nil.
type Trips struct {
	Fixes iter.Seq2[Fix, error]
	Rides iter.Seq2[Ride, error]
}

// Reading is one measured value.
type Reading struct {
	// Key is a hash of device, time and value, the same in any file.
	Key    string
	Device string // key in the recording, or ""
	At     time.Time
	Value  float64
	Line   int
}

// The common statuses of an Observation. Others are those of the file, in upper case.
const (
	StatusNew    = "NEW"
	StatusDone   = "DONE"
	StatusFailed = "FAILED"
)

// Observation is one request to a telescope and its result.
type Observation struct {
	// Key identifies the request, independent of what a later schedule of the night corrects: its status, start,
	// exposure and coordinates.
	Key        string
	Title      string
	Site       string
	Telescope  string
	Instrument string // filter or camera
	Programme  string // schedule file of the request
	Observer   string
	Target     string
	Status     string
	Start, End time.Time // of the exposure
	// RightAscension (0 to 360) and Declination (-90 to 90) are in degrees; nil for a target without a fixed position
	// on the sky, such as a planet.
	RightAscension *float64
	Declination    *float64
	Epoch          string            // of the coordinates, "J2000"; "" without them
	Fields         map[string]string // other values, by name in snake_case
	Line           int
}

// WaterLog is one drink, or the sum of a day if the file contains only sums.
type WaterLog struct {
	LogID    string // a 64-bit integer in decimal; for the sum of a day, the day
	AmountMl float64
	IsTotal  bool      // the amount is the sum of a day, and may be 0
	Day      time.Time // midnight in Options.Location; zero without a date
	Line     int
}

// Kinds of Device.
const (
	KindGateway = "GATEWAY"
	KindCamera  = "CAMERA"
	KindSensor  = "SENSOR"
	KindVehicle = "VEHICLE"
)

// Device is one row of an inventory. It has both coordinates or none.
type Device struct {
	Key       string
	Name      string
	Kind      string
	Labels    map[string]string
	Latitude  *float64
	Longitude *float64
	Line      int
}
