package bff

import (
	"context"
	"time"
)

// Twins is the configuration that is wanted of devices, and the one that they report. GetDeviceConfigs
// and ListConfigVersions are batch reads.
type Twins interface {
	SetDeviceConfig(ctx context.Context, deviceID string, desired JSON, expectedVersion *int) (*DeviceConfig, error)
	GetDeviceConfigs(ctx context.Context, deviceIDs []string) (map[string]*DeviceConfig, error)
	ListConfigVersions(ctx context.Context, deviceIDs []string, page PageRequest) (map[string]Page[DeviceConfigVersion], error)
	SetDeviceConfigSchema(ctx context.Context, kind DeviceKind, schema JSON) (*DeviceConfigSchema, error)
	ListDeviceConfigSchemas(ctx context.Context) ([]*DeviceConfigSchema, error)
}

// DeviceConfig is a device's twin.
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

// DeviceConfigVersion is a configuration that is or was wanted.
type DeviceConfigVersion struct {
	Version int
	Desired JSON
	At      time.Time
	Actor   string
}

// DeviceConfigSchema is the JSON Schema that wanted configurations of a kind are held to.
type DeviceConfigSchema struct {
	Kind      DeviceKind
	Schema    JSON // nil for none
	UpdatedAt time.Time
	Actor     string
}
