// Package trip has the rules of trips: who drives which vehicle, where, how far, and for what fee.
//
// A Trip belongs to one account and one vehicle. Its track stores every reported fix in the order of arrival. A fix
// that breaks a rule of distance (see Observe) is stored with its rejection and does not count. The distance is the
// great-circle length over the counted fixes, or the reading of the vehicle's meter. A trip stores its tariff, so a
// new tariff does not change it.
//
// It guarantees under concurrency:
//
// An account and a vehicle have at most one open trip each; the store refuses a second one. FINISHED and FAILED are
// final for live trips; a recording is FINISHED from the start, and accepts new fixes. A trip stores a fix once; a
// duplicate changes nothing and emits no event. Every change increments the version and emits one event with the
// changed trip.
//
// A live trip starts at the time of its start position, and never later than the clock, so that a delayed request
// counts from the real start. It ends by the clock of the service, because the client pays for the time and must not
// choose it.
//
// A trip on a vehicle that opens on command is UNLOCKING until the vehicle reports that it is open. Then it starts,
// and costs. It is FAILED if the vehicle does not open. After the end the vehicle is locked; during a trip it is
// never locked. The device service is called before the first write, so no trip starts while that service is
// unavailable.
//
// What a vehicle sends during a trip is hidden from other members: see VehicleRide.
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
	Last  *Position // the last counted fix; nil before the first
	End   *Position // set once the trip is over
	Gap   bool      // a segment has started since Last
	Fixes int64     // the number of fixes in the track, counted or not

	DistanceMetres float64
	DistanceSource DistanceSource
	Measurement    Measurement
	MaxSpeed       float64 // metres a second; 0 for MaxSpeed
	Tariff         Tariff

	UnlockBy *time.Time  // nil if the vehicle does not open on command
	Task     VehicleTask // the next step at the vehicle
	TaskDue  *time.Time  // next run of the task
	RideDue  *time.Time  // when the ride is to be stored in the device service; nil once it is stored
	Failure  string      // reason of FAILED, in UPPER_SNAKE

	// DurationSeconds and Fee are final after the trip. Before that AsOf computes them.
	DurationSeconds int64
	Fee             Money

	Source     string // the recorder; "" for a live trip
	ExternalID string // id of the trip in the source

	recounts []Recount // stored fixes whose rejection has changed
}

// Facts returns the facts that visibility depends on.
func (t Trip) Facts() entity.Facts { return entity.Facts{Owner: t.AccountID} }

// Current returns the last known position: the last counted fix, or the start.
func (t Trip) Current() Position {
	if t.Last != nil {
		return *t.Last
	}
	return t.Start
}

// AsOf returns the trip with its duration and fee at the time. It changes only a trip in progress.
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
