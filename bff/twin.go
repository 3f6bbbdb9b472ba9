package bff

import (
	"context"
	"time"
)

// Twins is the part of the device service for desired and reported configurations. GetDeviceConfigs and
// ListConfigVersions are batch reads.
type Twins interface {
	SetDeviceConfig(ctx context.Context, deviceID string, desired JSON, expectedVersion *int) (*DeviceConfig, error)
	GetDeviceConfigs(ctx context.Context, deviceIDs []string) (map[string]*DeviceConfig, error)
	ListConfigVersions(ctx context.Context, deviceIDs []string, page PageRequest) (map[string]Page[DeviceConfigVersion], error)
	SetDeviceConfigSchema(ctx context.Context, kind DeviceKind, schema JSON) (*DeviceConfigSchema, error)
	ListDeviceConfigSchemas(ctx context.Context) ([]*DeviceConfigSchema, error)
}

// DeviceConfig is the twin of a device.
type DeviceConfig struct {
	DeviceID        string
	Desired         JSON
	DesiredVersion  int
	DesiredAt       *time.Time
	Reported        JSON
	ReportedVersion *int
	ReportedAt      *time.Time
	InSync          bool
}

// DeviceConfigVersion is a version of the desired configuration.
type DeviceConfigVersion struct {
	Version int
	Desired JSON
	At      time.Time
	Actor   string
}

// DeviceConfigSchema is the JSON Schema that validates desired configurations of a kind of device.
type DeviceConfigSchema struct {
	Kind      DeviceKind
	Schema    JSON // nil for none
	UpdatedAt time.Time
	Actor     string
}
