// Package trip knows who drives what, where it went, how far, and what it costs.
//
// The model: a Trip belongs to one account and one vehicle. It has a track: every fix that was
// reported is kept in order of arrival, and those that break a rule of distance (see Observe) are
// kept marked and do not count. Distance is the great-circle way over the counted fixes, or what
// the vehicle's own meter said. The tariff is kept with the trip, so that a new tariff changes
// neither running nor finished trips.
//
// The invariants, which hold however many callers there are at once:
//
//   - An account has at most one open trip, and so has a vehicle; the store refuses a second one.
//   - FINISHED and FAILED are final for live trips: nothing is reported on them or ends them again.
//     Recordings are finished from the start, and may grow by fixes that were not known yet.
//   - A fix is kept once a trip: the same time and place again changes nothing and tells nobody.
//   - Every change makes the version one higher and emits one event with the trip as it then is.
//
// The times of a live trip: it starts at the time of its start position, never later than the
// clock, so that a start that was sent late counts from when it was made; it ends when the service
// is told, by the service's clock, because the one who pays must not choose when that was.
//
// A trip on a vehicle that opens on command is UNLOCKING until the vehicle says that it is open: then
// it starts, and costs. A vehicle that does not open makes it FAILED. Once it is over, the vehicle is
// locked: never is a vehicle locked whose trip is open.
//
// A use case that fails has changed nothing. The vehicle is asked for before anything is written;
// when the device service does not answer, no trip starts.
package trip

import (
	"time"

	"github.com/sluicehq/sluice/internal/entity"
)

// Status is where a trip stands.
type Status string

// The statuses. A trip is open until it is FINISHED or FAILED, which are final.
const (
	Unlocking  Status = "UNLOCKING" // made; the vehicle is not open yet
	InProgress Status = "IN_PROGRESS"
	Finished   Status = "FINISHED"
	Failed     Status = "FAILED"
)

// Open tells whether a trip of this status holds its account and its vehicle.
func (s Status) Open() bool { return s == Unlocking || s == InProgress }

// DistanceSource tells how the distance was measured.
type DistanceSource string

// The sources of a distance.
const (
	FromTrack DistanceSource = "TRACK" // great-circle way over the counted fixes
	FromMeter DistanceSource = "METER" // the vehicle's own meter
)

// Trip is one journey of an account in a vehicle.
type Trip struct {
	ID        string
	Status    Status
	Version   int64
	AccountID string
	VehicleID string

	Start Position
	Last  *Position // the last counted fix; nil while none counts
	End   *Position // once it is over
	Gap   bool      // a segment has started since Last: the way from there was not observed
	Fixes int64     // how many fixes the track has, counted or not

	DistanceMetres float64
	DistanceSource DistanceSource
	Tariff         Tariff

	UnlockBy *time.Time  // the deadline of the unlock; nil when the vehicle does not open on command
	Task     VehicleTask // the next step at the vehicle
	TaskDue  *time.Time  // when the task runs next
	Failure  string      // the reason of status FAILED, in UPPER_SNAKE

	// DurationSeconds and Fee are final once the trip is over, and until then what AsOf found.
	DurationSeconds int64
	Fee             Money

	Source     string // what recorded it; "" for a live trip
	ExternalID string // of the trip in the source
}

// Facts returns what the visibility of the trip depends on.
func (t Trip) Facts() entity.Facts { return entity.Facts{Owner: t.AccountID} }

// Current is where the vehicle was seen last: the last counted fix, or the start.
func (t Trip) Current() Position {
	if t.Last != nil {
		return *t.Last
	}
	return t.Start
}

// AsOf is the trip with the duration and the fee of the moment; of a trip that is not in progress they
// stay.
func (t Trip) AsOf(now time.Time) Trip {
	if t.Status == InProgress {
		return t.until(now)
	}
	return t
}

// until charges for the way and the time up to the moment.
func (t Trip) until(moment time.Time) Trip {
	t.DurationSeconds = max(0, int64(moment.Sub(t.Start.At)/time.Second))
	t.Fee = t.Tariff.Fee(t.DistanceMetres, t.DurationSeconds)
	return t
}

// finish ends a live trip at the last place that counts.
func (t Trip) finish(now time.Time) Trip {
	end := t.Current()
	end.At, end.StartsSegment = now, false
	if end.At.Before(t.Start.At) {
		end.At = t.Start.At
	}
	t.Status, t.End = Finished, &end
	return t.until(end.At)
}
