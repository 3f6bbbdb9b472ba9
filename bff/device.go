package bff

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/internal/entity"
)

// Devices is the port of the device service. GetDevices, ListDeviceEvents and QueryTelemetry are batch reads.
type Devices interface {
	RegisterDevice(ctx context.Context, input RegisterDeviceInput) (*RegisteredDevice, error)
	RotateDeviceSecret(ctx context.Context, id string) (*RegisteredDevice, error)
	Commands

	UpdateDevice(ctx context.Context, input UpdateDeviceInput) (*Device, error)
	DeleteDevice(ctx context.Context, id string, expectedVersion *int) error
	GetDevices(ctx context.Context, ids []string) ([]*Device, error)
	ListDevices(ctx context.Context, filter *DeviceFilter, order DeviceOrder, page PageRequest) (Page[Device], error)
	CountDevices(ctx context.Context) (*DeviceCounts, error)
	ListDeviceEvents(ctx context.Context, deviceIDs []string, page PageRequest) (map[string]Page[DeviceEvent], error)
	QueryTelemetry(ctx context.Context, deviceIDs []string, query TelemetryQuery) (map[string][]*Series, error)

	Twins
	Cameras
	DeviceCalls
}

// DeviceKind is GATEWAY, CAMERA, SENSOR or VEHICLE.
type DeviceKind string

// Presence is ONLINE, OFFLINE or UNKNOWN.
type Presence string

// DeviceOrder is NAME or NEWEST.
type DeviceOrder string

// Aggregate is AVG, MIN, MAX, SUM, COUNT or LAST.
type Aggregate string

// Device is a device in the field.
type Device struct {
	ID         string
	Name       string
	Kind       DeviceKind
	Labels     map[string]string
	Version    int
	Presence   Presence
	LastSeenAt *time.Time
	Position   *Position
	Board      JSON // an object; nil for none
	Firmware   *string
	CreatedAt  time.Time
	LockState  *LockState

	Riders   []string         `json:"-"` // accounts that see the device in another state than other members
	Audience *entity.Audience `json:"-"` // who receives an event with it; nil for everyone who sees the device
}

// DeviceFilter selects devices that meet all conditions.
type DeviceFilter struct {
	Kinds        []DeviceKind
	Presences    []Presence
	Labels       JSON
	NameContains *string
}

// RegisterDeviceInput is the input that registers a device.
type RegisterDeviceInput struct {
	Name           string
	Kind           DeviceKind
	Labels         JSON
	Lock           *bool
	IdempotencyKey *string
}

// RegisteredDevice is a device with its secret.
type RegisteredDevice struct {
	Device *Device
	Secret *string // in this response only
}

// UpdateDeviceInput changes the fields that are not nil.
type UpdateDeviceInput struct {
	ID              string
	Name            *string
	Labels          JSON
	ExpectedVersion *int
}

// DeviceCounts counts the devices that the caller sees, by presence.
type DeviceCounts struct {
	Total, Online, Offline, Unknown int
}

// DeviceEvent is an entry in the history of a device.
type DeviceEvent struct {
	ID      string
	At      time.Time
	Type    string
	Message string
	Actor   string
	Data    JSON
}

// TelemetryQuery selects series in [From, To).
type TelemetryQuery struct {
	Keys        []string
	From, To    time.Time
	StepSeconds int // 0 for raw readings
	Aggregate   Aggregate
	TimeZone    string // IANA: where steps begin; "" for UTC
}

// Series is the readings of one key, ordered by time.
type Series struct {
	Key    string
	Points []*Point
}

// Point is one reading, or the aggregate of one step.
type Point struct {
	At        time.Time
	Value     *float64
	ArrivedAt *time.Time // nil for a step, and for a reading that the device did not send
}

// IsNode implements Node.
func (*Device) IsNode() {}

// GetID implements Node.
func (d *Device) GetID() string { return d.ID }
