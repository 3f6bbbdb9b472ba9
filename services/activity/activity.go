// Package activity records activities: observations, water drunk, trips, actions of devices and jobs, notes.
//
// Model: an Activity is recorded once and never changes. It belongs to one account, or it is public. The client
// may name it by source and external id, which deduplicates repeated writes.
//
// Invariants, also under concurrent callers:
//
//   - In one account, a source and external id name one activity. A second record with the same name returns the
//     first activity, whatever its other fields say. Names of different accounts are independent, so a caller
//     cannot find or block names of other accounts by guessing.
//   - Only its account and staff see an activity, unless it is public.
//   - A stored activity emits one event with the activity as its payload. A duplicate emits none.
//
// A use case that fails has changed nothing.
package activity

import (
	"time"

	"github.com/sluicehq/sluice/internal/entity"
)

// Kind is the subject of an activity.
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

// Activity is one recorded action or observation. Unknown texts are "".
type Activity struct {
	ID         string
	Kind       Kind
	Source     string // the origin of the record: a-z, 0-9, ".", "_", "-"
	ExternalID string // its name in the source; "" for none
	AccountID  string // the owner; "" for a public activity

	Title     string
	Content   string
	StartedAt time.Time
	EndedAt   *time.Time // nil without a known end

	Actor        string
	Organisation string
	Subject      string
	Amount       *float64
	Unit         string // of the amount

	Position    *Position
	Sky         *Sky
	Observation Observation // zero for other kinds

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

// Position is a point on Earth at a time.
type Position struct {
	Latitude  float64   `json:"latitude"`  // degrees, WGS 84, -90 to 90
	Longitude float64   `json:"longitude"` // degrees, WGS 84, -180 to 180
	At        time.Time `json:"at"`
	Accuracy  *float64  `json:"accuracy,omitempty"` // metres; nil when unknown
	Place     string    `json:"place,omitempty"`    // the name of the place, for display
}

// Observation describes the telescope, its request and its state.
type Observation struct {
	Site       string
	Telescope  string
	Instrument string
	Programme  string
	Observer   string
	Target     string
	Status     string
}

// Link is a URL with further information.
type Link struct {
	URL   string `json:"url"` // http or https
	Title string `json:"title,omitempty"`
}
