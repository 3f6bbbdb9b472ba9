// Package device knows what is out in the field: gateways, cameras, sensors and vehicles, what they
// measured and what happened to them.
//
// The model: a Device has a name, a kind that never changes, and labels. Its readings are values of
// named keys at a time. Its events tell in words what happened to it and who did it.
//
// The invariants, which hold however many callers there are at once:
//
//   - Every change makes the version one higher, adds one Event, and emits one event with the device
//     as it then is; all in one transaction. What changes nothing does none of it.
//   - When a device was last seen, where it is and what it reports of itself follow from what it
//     sends, and its presence from that and its connections. They are no change: the version does not
//     know of them. Others are told of all but when it was last seen; that is exact to half a minute.
//   - The presence is UNKNOWN until a device is heard; readings that are written down for a device
//     are not that. See package presence.
//   - A message of a device is handled at least once, and handling it again changes nothing more; but
//     an event that it reports may then be noted twice.
//   - A device that was deleted is not found, and is not imported again under its old id; its row,
//     its readings and its events stay, so that trips and records that name it keep their meaning.
//   - A reading is kept once: the same device, key, time and value again changes nothing. Two values
//     at one time are two readings, as when a clock was set back while the device measured on.
//
// Commands are told to devices and end, always: by the device's answer, by their deadline, or because
// they are cancelled (Command). A vehicle's lock changes by them alone, and only from the state that
// it was in (Lock). What a device says of a command that is unknown or over is noted and changes
// nothing.
//
// A configuration that is wanted has a version of its own, and is told to the device until it reports
// that version (Config); the device's version does not know of it. A camera streams as long as somebody
// watches, and is told to start no more often than the rules allow, for one caller and for all (Stream).
//
// Staff see all devices; members see vehicles, and what they may not see does not exist for them; an API
// key may be limited to the devices with certain labels. What API keys call to act on devices is kept,
// refusals too (Call).
//
// A use case that fails has changed nothing.
package device

import "time"

// Kind is what a device is.
type Kind string

// The kinds.
const (
	Gateway Kind = "GATEWAY"
	Camera  Kind = "CAMERA"
	Sensor  Kind = "SENSOR"
	Vehicle Kind = "VEHICLE"
)

// Presence tells whether a device can be reached.
type Presence string

// The presences.
const (
	Online  Presence = "ONLINE"
	Offline Presence = "OFFLINE"
	Unknown Presence = "UNKNOWN" // it was never heard
)

// Device is something in the field.
type Device struct {
	ID         string
	Version    int64
	Name       string
	Kind       Kind
	Labels     map[string]string // never nil
	Presence   Presence
	LastSeenAt *time.Time
	Position   *Position // where it was last; nil while that is not known
	Board      string    // what it last reported of itself, a JSON object; "" when it did not
	Firmware   string    // as it last reported it
	CreatedAt  time.Time
	UpdatedAt  time.Time
	Lock       *Lock // of a vehicle that opens on command; nil for all others
	Deleted    bool  // only in what Store keeps and emits

	Source     string // what it was imported from; "" for one that was registered
	ExternalID string // of the device in the source
}

// Position is a place on Earth: degrees in WGS 84, accuracy in metres.
type Position struct {
	Latitude  float64
	Longitude float64
	At        *time.Time // when it was there, where that is known
	Accuracy  *float64
	Place     string // in words
}

// Counts counts devices by presence.
type Counts struct {
	Total, Online, Offline, Unknown int64
}
