// Package device defines devices: gateways, cameras, sensors and vehicles, who may see them, their events, and the
// messages that they send and receive. The packages below are the use cases: ingress (the MQTT listener), uplink
// (messages by topic), registry, presence, telemetry, command, vehicle (locks), camera, twin (configurations),
// maintenance (due tasks, retention, audit log), and assembly, which composes them.
//
// Every change increments the version, adds one Event, and emits one event with the device, in one transaction. What
// changes nothing does none of it. The last-seen time, the position, the reported state, the presence and the lock are no
// change: the version does not include them, but all except the last-seen time are published; that time is exact to
// half a minute. The presence is UNKNOWN until the device connects or sends; imported readings do not count. A
// deleted device is not found, and is not imported again under its external id; its row, readings and events remain,
// because trips and records name it.
//
// Staff see all devices, members see vehicles; an API key may be limited to the devices with certain labels. What a vehicle
// sends during a ride is visible to its rider and to staff: see Privacy.
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

	Privacy           *Privacy         // nil for a device that no ride has used
	PositionArrivedAt *time.Time       // when the last position arrived
	BoardAt           *time.Time       // when the last report arrived
	Audience          *entity.Audience // who receives an event with the device; only in what Store emits

	Source     string // of an import; "" for a registered device
	ExternalID string // id in the source
}

// Facts returns the facts that visibility depends on.
func (d Device) Facts() entity.Facts {
	return entity.Facts{Kind: string(d.Kind), Labels: d.Labels, Audience: d.Audience}
}

// Position is a place on Earth: degrees in WGS 84, accuracy in metres.
type Position struct {
	Latitude  float64
	Longitude float64
	At        *time.Time // nil when unknown
	Accuracy  *float64
	Place     string // in words
}
