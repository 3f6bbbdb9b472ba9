// Package device defines devices: gateways, cameras, sensors and vehicles, who may see them, their events, and the
// messages that they send and receive. The packages below are the use cases:
//
//   - ingress: where devices connect, over MQTT
//   - registry: registration, secrets and events
//   - presence: which devices are connected
//   - uplink: dispatches their messages to the packages that handle them
//   - telemetry: readings
//   - command: commands and their outcome; vehicle: how vehicles are unlocked and locked
//   - camera: moves, images, and streams that run as long as a client watches
//   - twin: desired and reported configuration
//   - maintenance: due tasks, retention, the audit log of API keys
//   - assembly: all of these together
//
// The model: a Device has a name, a kind that never changes, and labels. Its events tell in words what
// happened to it and who did it.
//
// The invariants, which hold however many callers there are at once:
//
//   - Every change makes the version one higher, adds one Event, and emits one event with the device
//     as it then is; all in one transaction. What changes nothing does none of it.
//   - When a device was last seen, where it is and what it reports of itself follow from what it
//     sends, and its presence from that and its connections. They are no change: the version does not
//     include them. All but the last-seen time are published; that time is exact to half a minute.
//   - The presence is UNKNOWN until a device is heard; readings that are written down for a device
//     are not that. See package presence.
//   - A device that was deleted is not found, and is not imported again under its old id; its row,
//     its readings and its events stay, so that trips and records that name it keep their meaning.
//
// Staff see all devices; members see vehicles, and what they may not see does not exist for them; an API
// key may be limited to the devices with certain labels.
//
// A use case that fails has changed nothing.
package device

import (
	"time"

	"github.com/sluicehq/sluice/internal/entity"
)

// Kind is the kind of a device.
type Kind string

// The kinds.
const (
	Gateway Kind = "GATEWAY"
	Camera  Kind = "CAMERA"
	Sensor  Kind = "SENSOR"
	Vehicle Kind = "VEHICLE"
)

// Presence reports whether a device can be reached.
type Presence string

// The presences.
const (
	Online  Presence = "ONLINE"
	Offline Presence = "OFFLINE"
	Unknown Presence = "UNKNOWN" // no signal yet
)

// Device is a gateway, a camera, a sensor or a vehicle.
type Device struct {
	ID         string
	Version    int64
	Name       string
	Kind       Kind
	Labels     map[string]string // never nil
	Presence   Presence
	LastSeenAt *time.Time
	Position   *Position // the latest; nil while unknown
	Board      string    // the last reported state, a JSON object; "" for none
	Firmware   string    // as last reported
	CreatedAt  time.Time
	UpdatedAt  time.Time
	Lock       *Lock // of a vehicle that opens on command; else nil
	Deleted    bool  // only in what Store stores and emits

	Source     string // of an import; "" for a registered device
	ExternalID string // id in the source
}

// Facts returns the facts that visibility depends on.
func (d Device) Facts() entity.Facts { return entity.Facts{Kind: string(d.Kind), Labels: d.Labels} }

// Position is a place on Earth: degrees in WGS 84, accuracy in metres.
type Position struct {
	Latitude  float64
	Longitude float64
	At        *time.Time // nil when unknown
	Accuracy  *float64
	Place     string // in words
}
