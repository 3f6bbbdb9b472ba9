package bff

import (
	"context"
	"time"
)

// DeviceCalls is the audit log: the calls by which API keys acted on devices.
type DeviceCalls interface {
	ListDeviceCalls(ctx context.Context, filter *DeviceCallFilter, page PageRequest) (Page[DeviceCall], error)
	// RecordRefusal records that the gateway refused a call of an API key before it reached the device service. name is
	// the method; code and reason are those of the error.
	RecordRefusal(ctx context.Context, deviceID, name, code, reason string) error
}

// DeviceCall is one call by which an API key acted on a device, or tried to. Its fields are spelt as in the schema.
type DeviceCall struct {
	ID         string
	At         time.Time
	DeviceID   string
	ApiKeyID   string
	AccountID  string
	Name       string
	Outcome    string
	Reason     *string
	DurationMs float64
	TraceID    *string
}

// DeviceCallFilter selects calls that meet every condition in it.
type DeviceCallFilter struct {
	DeviceID *string
	ApiKeyID *string
	Outcome  *string
}
