package bff

import (
	"context"
	"time"
)

// DeviceCalls is the audit log of calls by API keys on devices.
type DeviceCalls interface {
	ListDeviceCalls(ctx context.Context, filter *DeviceCallFilter, page PageRequest) (Page[DeviceCall], error)
	// RecordRefusal records that the gateway refused a call of an API key before it reached the device service. name
	// is the method; code and reason are those of the error.
	RecordRefusal(ctx context.Context, deviceID, name, code, reason string) error
}

// DeviceCall is one call of an API key on a device, or a refused attempt. Its fields are spelt as in the schema.
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

// DeviceCallFilter selects calls that meet all conditions.
type DeviceCallFilter struct {
	DeviceID *string
	ApiKeyID *string
	Outcome  *string
}
