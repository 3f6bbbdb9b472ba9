// Package activity records activities: observations, water drunk, trips, actions of devices and jobs, notes. An
// Activity belongs to one account, or is public. Source and external id deduplicate repeated writes. Its owner, and
// an import whose source has changed, correct and withdraw it. Earlier versions stay in its history for a time.
//
// Also under concurrency: in one account, a source and external id name one activity, and a second record returns the
// first activity. Names of different accounts are independent, so a caller cannot find names of other accounts by
// guessing. Only its account and staff see an activity, unless it is public. Every stored, changed or withdrawn
// activity emits one event; a duplicate, and an update without a change, emit none and leave the version. An import
// does not overwrite corrections of the owner, and does not restore what the owner has withdrawn, while the history
// has it.
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

	Version     int64 // from 1; grows by one with every change
	CreatedAt   time.Time
	UpdatedAt   time.Time
	WithdrawnAt *time.Time // nil for an activity that exists

	Digest string `json:",omitempty"` // of the imported values; "" for an activity that was not imported
}

// Revision is an earlier version of an activity.
type Revision struct {
	Activity   Activity
	ReplacedAt time.Time
	ReplacedBy string // an account, an API key or "system"
	Withdrawn  bool   // the activity was withdrawn, and not replaced
}

// Facts returns the facts that visibility depends on.
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
