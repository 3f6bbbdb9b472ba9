// Package trip holds the rules of trips: who drives which vehicle, where the trip went, how long it is and what it
// costs.
//
// A Trip belongs to one account and one vehicle. Its track stores every reported fix in the order of arrival. A fix
// that breaks a rule of distance (see Observe) is stored with its rejection and does not count. The distance is the
// great-circle length over the counted fixes, or the reading of the vehicle's own meter. A trip stores its tariff, so
// a new tariff changes neither open nor finished trips.
//
// It promises, under any number of concurrent requests:
//
//   - An account has at most one open trip, and so has a vehicle. The store refuses a second one.
//   - FINISHED and FAILED are final for live trips: they accept no fix and do not end a second time. A recording is
//     FINISHED from the start, and accepts fixes that it does not have yet.
//   - A trip stores a fix once. The same time and place reported twice changes nothing and emits no event.
//   - Every change increments the version and emits one event with the changed trip.
//
// A live trip starts at the time of its start position, and never later than the clock, so that a delayed request
// still counts from the real start. It ends by the clock of the service, because the client pays for the time and
// must not choose it.
//
// A trip on a vehicle that opens on command is UNLOCKING until the vehicle reports that it is open. Then it starts,
// and costs. It is FAILED when the vehicle does not open. After the end the vehicle is locked. A vehicle whose trip
// is open is never locked.
//
// On failure a use case has changed nothing. The device service is called before the first write, so no trip starts
// while that service is unavailable.
package trip

import (
	"time"

	"github.com/sluicehq/sluice/internal/entity"
)

// Status is the state of a trip.
type Status string

// The statuses. A trip is open until it is FINISHED or FAILED, which are final.
const (
	Unlocking  Status = "UNLOCKING" // created; the vehicle is not open yet
	InProgress Status = "IN_PROGRESS"
	Finished   Status = "FINISHED"
	Failed     Status = "FAILED"
)

// Open reports whether a trip in this status occupies its account and its vehicle.
func (s Status) Open() bool { return s == Unlocking || s == InProgress }

// DistanceSource names the source of a distance.
type DistanceSource string

// The sources of a distance.
const (
	FromTrack DistanceSource = "TRACK" // great-circle length over the counted fixes
	FromMeter DistanceSource = "METER" // the meter of the vehicle
)

// Trip is one trip of an account in a vehicle.
type Trip struct {
	ID        string
	Status    Status
	Version   int64
	AccountID string
	VehicleID string

	Start Position
	Last  *Position // the last counted fix; nil while none counts
	End   *Position // set once the trip is over
	Gap   bool      // a segment has started since Last: the way in between was not observed
	Fixes int64     // the number of fixes in the track, counted or not

	DistanceMetres float64
	DistanceSource DistanceSource
	Measurement    Measurement // the state of the distance
	MaxSpeed       float64     // metres a second; 0 for the default MaxSpeed
	Tariff         Tariff

	UnlockBy *time.Time  // the deadline of the unlock; nil when the vehicle does not open on command
	Task     VehicleTask // the next step at the vehicle
	TaskDue  *time.Time  // when the task runs next
	Failure  string      // the reason of status FAILED, in UPPER_SNAKE

	// DurationSeconds and Fee are final once the trip is over. Before that AsOf computes them.
	DurationSeconds int64
	Fee             Money

	Source     string // the recorder; "" for a live trip
	ExternalID string // the id of the trip in the source

	recounts []Recount // stored fixes whose rejection has changed in this change
}

// Facts returns what the visibility of the trip depends on.
func (t Trip) Facts() entity.Facts { return entity.Facts{Owner: t.AccountID} }

// Current returns the last known position: the last counted fix, or the start.
func (t Trip) Current() Position {
	if t.Last != nil {
		return *t.Last
	}
	return t.Start
}

// AsOf returns the trip with its duration and fee at the given time. It changes only a trip in progress.
func (t Trip) AsOf(now time.Time) Trip {
	if t.Status == InProgress {
		return t.chargeUntil(now)
	}
	return t
}

func (t Trip) chargeUntil(moment time.Time) Trip {
	t.DurationSeconds = max(0, int64(moment.Sub(t.Start.At)/time.Second))
	t.Fee = t.Tariff.Fee(t.DistanceMetres, t.DurationSeconds)
	return t
}

// finish ends a live trip at its last counted position.
func (t Trip) finish(now time.Time) Trip {
	end := t.Current()
	end.At, end.StartsSegment = now, false
	if end.At.Before(t.Start.At) {
		end.At = t.Start.At
	}
	t.Status, t.End = Finished, &end
	return t.chargeUntil(end.At)
}
