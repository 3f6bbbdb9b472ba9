package bff

import (
	"context"
	"time"
)

// DeviceCalls tells what API keys called to act on devices.
type DeviceCalls interface {
	ListDeviceCalls(ctx context.Context, filter *DeviceCallFilter, page PageRequest) (Page[DeviceCall], error)
	// KeepRefusal keeps that the calling API key was refused, by the code and the reason, before the device
	// service was asked for what name says.
	KeepRefusal(ctx context.Context, deviceID, name, code, reason string) error
}

// DeviceCall is a call by which an API key acted on a device, or was refused to. It is spelt as the
// schema spells it.
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

// DeviceCallFilter narrows a list of calls.
type DeviceCallFilter struct {
	DeviceID *string
	ApiKeyID *string
	Outcome  *string
}
