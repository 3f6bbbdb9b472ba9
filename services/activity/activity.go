// Package activity keeps what goes on in the world: observations, water drunk, trips, what devices
// and jobs did, notes.
//
// The model: an Activity is told once and stays as it was told; nothing changes or removes it. It
// belongs to one account, or to everybody. Who tells it may name it by source and external id.
//
// The invariants, which hold however many callers there are at once:
//
//   - Of one account, a source and external id name one activity; telling it again answers with the
//     first, whatever else the second one says. Names of different accounts never meet, so that
//     nobody learns by guessing names what others told, nor takes a name away from them.
//   - Nobody sees an activity but its account and staff, unless it is everybody's.
//   - What is stored emits one event with the activity; what was there already emits none.
//
// A use case that fails has changed nothing.
package activity

import (
	"time"

	"github.com/sluicehq/sluice/internal/entity"
)

// Kind is what an activity is about.
type Kind string

// The kinds.
const (
	Observed  Kind = "OBSERVATION"
	Hydration Kind = "HYDRATION" // amount is the water drunk, in ml
	Trip      Kind = "TRIP"
	Device    Kind = "DEVICE"
	Job       Kind = "JOB"
	Note      Kind = "NOTE"
)

func (k Kind) known() bool {
	switch k {
	case Observed, Hydration, Trip, Device, Job, Note:
		return true
	}
	return false
}

// Activity is something that went on. Texts that are not known are "".
type Activity struct {
	ID         string
	Kind       Kind
	Source     string // who tells it: a-z, 0-9, ".", "_", "-"
	ExternalID string // its name in the source; "" for none
	AccountID  string // whose it is; "" for everybody's

	Title     string
	Content   string
	StartedAt time.Time
	EndedAt   *time.Time // nil when it has no end, or none is known

	Actor        string
	Organisation string
	Subject      string
	Amount       *float64
	Unit         string // of the amount

	Position    *Position
	Sky         *Sky
	Observation Observation // zero when there was none

	DeviceID string
	TripID   string
	JobID    string
	Links    []Link
	Data     string // JSON; "" for none

	CreatedAt time.Time
}

// Facts returns what the visibility of the activity depends on.
func (a Activity) Facts() entity.Facts {
	return entity.Facts{Owner: a.AccountID, Public: a.AccountID == ""}
}

// Position is a place on Earth at a time.
type Position struct {
	Latitude  float64   `json:"latitude"`  // degrees, WGS 84, -90 to 90
	Longitude float64   `json:"longitude"` // degrees, WGS 84, -180 to 180
	At        time.Time `json:"at"`
	Accuracy  *float64  `json:"accuracy,omitempty"` // metres; nil when unknown
	Place     string    `json:"place,omitempty"`    // its name, for people
}

// Observation is what a telescope did.
type Observation struct {
	Site       string
	Telescope  string
	Instrument string
	Programme  string
	Observer   string
	Target     string
	Status     string
}

// Link leads to more.
type Link struct {
	URL   string `json:"url"` // http or https
	Title string `json:"title,omitempty"`
}
