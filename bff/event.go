package bff

import "time"

// Entity is the kind of thing that an event is about, as subjects of events name it.
type Entity string

// The entities whose events can be subscribed to, those that end a caller's credentials, and accounts.
const (
	EntityAccount  Entity = "account"
	EntityActivity Entity = "activity"
	EntityDevice   Entity = "device"
	EntityTrip     Entity = "trip"
	EntityJob      Entity = "job"
	EntityLogLine  Entity = "commandlog"
	EntityAPIKey   Entity = "apikey"
	EntitySession  Entity = "session"
)

// Event is something that changed, with what it is about as it was committed.
type Event struct {
	Sequence uint64 // its place in the stream of all events, from 1
	At       time.Time
	Entity   Entity
	Change   string // "added", "changed", ...
	ID       string // of the entity
	Node     Node   // *Activity, *Device, *Trip, *Job or *LogLine; nil for others, and for what was deleted
	// Owner is whose it is: the account of a trip or an activity ("" for everybody's), who made a job.
	Owner string
}

// Topic is what a subscription listens to: the events of an entity that its filter selects.
type Topic struct {
	Entity   Entity
	TripID   string // of EntityTrip: "" for every trip
	Command  string // of EntityLogLine: the id of the command
	Activity *ActivityFilter
	Device   *DeviceFilter
	Job      *JobFilter
}
