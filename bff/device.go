package bff

import (
	"context"
	"time"
)

// Devices is what is out in the field. GetDevices, ListDeviceEvents and QueryTelemetry are batch
// reads: one call for many devices.
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

// Device is something in the field.
type Device struct {
	ID         string
	Name       string
	Kind       DeviceKind
	Labels     map[string]string
	Version    int
	Presence   Presence
	LastSeenAt *time.Time
	Position   *Position
	Board      JSON // an object; nil when it reported none
	Firmware   *string
	CreatedAt  time.Time
	LockState  *LockState
}

// DeviceFilter selects devices; all that is named must hold.
type DeviceFilter struct {
	Kinds        []DeviceKind
	Presences    []Presence
	Labels       JSON
	NameContains *string
}

// RegisterDeviceInput makes a device known.
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
	Secret *string // told once
}

// UpdateDeviceInput changes what is not nil.
type UpdateDeviceInput struct {
	ID              string
	Name            *string
	Labels          JSON
	ExpectedVersion *int
}

// DeviceCounts counts the devices that the caller may see.
type DeviceCounts struct {
	Total, Online, Offline, Unknown int
}

// DeviceEvent is something that happened to a device.
type DeviceEvent struct {
	ID      string
	At      time.Time
	Type    string
	Message string
	Actor   string
	Data    JSON
}

// TelemetryQuery asks for series over [From, To).
type TelemetryQuery struct {
	Keys        []string
	From, To    time.Time
	StepSeconds int // 0 for raw readings
	Aggregate   Aggregate
}

// Series is one key's readings by time.
type Series struct {
	Key    string
	Points []*Point
}

// Point is a reading, or the aggregate of a step.
type Point struct {
	At        time.Time
	Value     *float64
	ArrivedAt *time.Time // nil for a step, and for what did not come from the device itself
}

// IsNode marks what has an id of its own.
func (*Device) IsNode() {}

// GetID gives the id.
func (d *Device) GetID() string { return d.ID }
