// Package telemetry stores readings of devices, and returns them raw or aggregated.
//
// A reading is stored once: an equal device, key, time and value has no effect. Two values at one time are two
// readings, for example after a clock was set back. Old readings are rolled up, and later deleted.
package telemetry

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/input"
	"github.com/sluicehq/sluice/services/device"
)

// Service has the use cases. It is safe for concurrent use.
type Service struct {
	store Store
	clock clock.Clock
	count func(outcome string, n int)
}

// New returns a Service over a store. count counts readings that devices sent, that were stored, and that were rolled
// up.
func New(store Store, clock clock.Clock, count func(outcome string, n int)) *Service {
	return &Service{store: store, clock: clock, count: count}
}

const (
	// MaxPoints bounds the points of one response, over all series.
	MaxPoints = 50_000

	maxReadings     = 5_000 // per call
	maxKeys         = 20    // per query
	maxTelemetryKey = 200   // runes
	// maxValue is small enough that sums, means and the squares in PostgreSQL's mean stay finite.
	maxValue = 1e100
)

// Reading is a measured value.
type Reading struct {
	Key   string
	At    time.Time
	Value float64
}

// Recording has readings of a device that arrived together.
type Recording struct {
	DeviceID  string
	Readings  []Reading
	ArrivedAt time.Time
}

// Recorded is the result of Record.
type Recorded struct {
	Stored   int64
	Updated  int64 // values that replaced others
	Repeated int64 // stored before, or repeated in the input
}

// Record stores 1 to 5,000 readings of a device, in any order, all or none. The device's last-seen time is that of
// the newest reading that is not in the future.
func (s *Service) Record(ctx context.Context, deviceID string, readings []Reading) (Recorded, error) {
	return s.record(ctx, deviceID, readings, func(readings []Reading, seen *time.Time) (stored, updated int64, err error) {
		stored, err = s.store.Record(ctx, deviceID, readings, seen)
		return stored, 0, err
	})
}

// Correct records readings of a source that corrects them: see Store.Correct.
func (s *Service) Correct(ctx context.Context, deviceID string, readings []Reading) (Recorded, error) {
	return s.record(ctx, deviceID, readings, func(readings []Reading, seen *time.Time) (stored, updated int64, err error) {
		return s.store.Correct(ctx, deviceID, readings, seen)
	})
}

func (s *Service) record(ctx context.Context, deviceID string, readings []Reading,
	write func([]Reading, *time.Time) (stored, updated int64, err error),
) (Recorded, error) {
	who, err := device.MayWrite(ctx)
	if err != nil {
		return Recorded{}, err
	}
	if err := device.CheckID("deviceId", deviceID); err != nil {
		return Recorded{}, err
	}
	if err := device.Within(ctx, s.store, who, deviceID); err != nil {
		return Recorded{}, err
	}
	if readings, err = CheckReadings(readings); err != nil {
		return Recorded{}, err
	}
	stored, updated, err := write(readings, newest(readings, s.clock.Now()))
	if err != nil {
		return Recorded{}, err
	}
	return Recorded{Stored: stored, Updated: updated, Repeated: int64(len(readings)) - stored - updated}, nil
}

// RecordAll stores readings of devices: see Store.RecordAll.
func (s *Service) RecordAll(ctx context.Context, recordings []Recording) (refused []error, err error) {
	stored, refused, err := s.store.RecordAll(ctx, recordings)
	if err != nil {
		return nil, err
	}
	sent := 0
	for _, r := range recordings {
		sent += len(r.Readings)
	}
	s.count("sent", sent)
	s.count("stored", int(stored))
	return refused, nil
}

// CheckReadings returns the readings in their stored form.
func CheckReadings(readings []Reading) ([]Reading, error) {
	if err := CheckCount(len(readings)); err != nil {
		return nil, err
	}
	checked := make([]Reading, len(readings))
	for i, r := range readings {
		var err error
		if checked[i], err = CheckReading(fmt.Sprintf("readings[%d]", i), r); err != nil {
			return nil, err
		}
	}
	return checked, nil
}

// CheckCount refuses an invalid number of readings.
func CheckCount(n int) error {
	if n == 0 || n > maxReadings {
		return errs.Invalid("readings", "must be 1 to %d", maxReadings)
	}
	return nil
}

// CheckReading returns the reading in its stored form.
func CheckReading(field string, r Reading) (Reading, error) {
	if err := input.Name(field+".key", r.Key, maxTelemetryKey); err != nil {
		return Reading{}, err
	}
	at, err := input.Time(field+".at", r.At)
	if err != nil {
		return Reading{}, err
	}
	if !(math.Abs(r.Value) <= maxValue) {
		return Reading{}, errs.Invalid(field+".value", "must be a number between -%g and %g", maxValue, maxValue)
	}
	return Reading{Key: r.Key, At: at, Value: r.Value}, nil
}

func newest(readings []Reading, now time.Time) *time.Time {
	var last *time.Time
	for _, r := range readings {
		if !r.At.After(now) && (last == nil || r.At.After(*last)) {
			last = &r.At
		}
	}
	return last
}

// Aggregate is the aggregate function of a step.
type Aggregate string

// The aggregates. Of readings at one time, the one with the highest value is the last.
const (
	Avg   Aggregate = "AVG"
	Min   Aggregate = "MIN"
	Max   Aggregate = "MAX"
	Sum   Aggregate = "SUM"
	Count Aggregate = "COUNT"
	Last  Aggregate = "LAST"
)

// Query requests series over [From, To).
type Query struct {
	DeviceIDs []string
	Keys      []string // at most 20
	From, To  time.Time
	// Step is in whole seconds; 0 requests raw readings. Steps are aligned to 1970-01-01T00:00:00 in the zone; the
	// first step may start before From, but has only readings since From.
	Step      time.Duration
	Zone      *time.Location // nil is UTC
	Aggregate Aggregate
	// Viewer is the account that sees what was sent outside of rides and during its own rides; nil sees all.
	Viewer *string
}

// Series is one key of one device by time.
type Series struct {
	DeviceID string
	Key      string
	Points   []Point
}

// Point is a reading, or the aggregate of a step.
type Point struct {
	At    time.Time // of the reading, or the start of the step
	Value float64
	// ArrivedAt is the first arrival of the reading from its device. nil for a step, for rolled up readings, and for
	// imports.
	ArrivedAt *time.Time
}

// Query returns a series for each key of each device that the caller may see, without empty steps, and without what a
// vehicle sent during rides of other accounts. TooManyPoints if the readings or steps exceed MaxPoints over all series.
func (s *Service) Query(ctx context.Context, q Query) ([]Series, error) {
	who, err := caller.Require(ctx, caller.DeviceRead)
	if err != nil {
		return nil, err
	}
	if q, err = q.checked(); err != nil {
		return nil, err
	}
	devices, err := device.Visible(ctx, s.store, who, "deviceIds", q.DeviceIDs)
	if err != nil || len(devices) == 0 {
		return nil, err
	}
	q.DeviceIDs = device.IDsOf(devices)
	ridden := slices.ContainsFunc(devices, func(d device.Device) bool { return d.Privacy != nil })
	if ridden && !entity.Device.Visibility(who).All {
		q.Viewer = &who.AccountID
	}
	found, err := s.store.Query(ctx, q)
	if err != nil {
		return nil, err
	}
	return q.complete(found), nil
}

func (q Query) checked() (Query, error) {
	var err error
	if q.DeviceIDs, err = device.KnownIDs("deviceIds", q.DeviceIDs); err != nil {
		return q, err
	}
	if q.Keys, err = checkKeys(q.Keys); err != nil {
		return q, err
	}
	if q.From, err = input.Time("from", q.From); err != nil {
		return q, err
	}
	if q.To, err = input.Time("to", q.To); err != nil {
		return q, err
	}
	if !q.From.Before(q.To) {
		return q, errs.Invalid("from", "must be before to")
	}
	if q.Step < 0 || q.Step%time.Second != 0 {
		return q, errs.Invalid("stepSeconds", "must be 0 or more")
	}
	if !slices.Contains([]Aggregate{Avg, Min, Max, Sum, Count, Last}, q.Aggregate) {
		return q, errs.Invalid("aggregate", "must be AVG, MIN, MAX, SUM, COUNT or LAST")
	}
	if q.Step > 0 && q.steps()*int64(len(q.Keys)*max(1, len(q.DeviceIDs))) > MaxPoints {
		return q, TooManyPoints()
	}
	return q, nil
}

func checkKeys(keys []string) ([]string, error) {
	if len(keys) == 0 || len(keys) > maxKeys {
		return nil, errs.Invalid("keys", "must be 1 to %d", maxKeys)
	}
	var once []string
	for i, key := range keys {
		if err := input.Name(fmt.Sprintf("keys[%d]", i), key, maxTelemetryKey); err != nil {
			return nil, err
		}
		if !slices.Contains(once, key) {
			once = append(once, key)
		}
	}
	return once, nil
}

// steps returns the number of steps; with a zone, it is up to two too many.
func (q Query) steps() int64 {
	if q.Zone != nil && q.Zone != time.UTC {
		return int64(q.To.Sub(q.From)/q.Step) + 3
	}
	step := q.Step.Microseconds()
	return floorDiv(q.To.UnixMicro()-1, step) - floorDiv(q.From.UnixMicro(), step) + 1
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// complete returns the series in the requested order of devices and keys, with empty ones.
func (q Query) complete(found []Series) []Series {
	type name struct{ deviceID, key string }
	points := make(map[name][]Point, len(found))
	for _, series := range found {
		points[name{series.DeviceID, series.Key}] = series.Points
	}
	all := make([]Series, 0, len(q.DeviceIDs)*len(q.Keys))
	for _, id := range q.DeviceIDs {
		for _, key := range q.Keys {
			all = append(all, Series{DeviceID: id, Key: key, Points: points[name{id, key}]})
		}
	}
	return all
}
