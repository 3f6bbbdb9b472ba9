package twin

import (
	"context"

	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/services/device"
)

// Change is the configuration to store, and its event.
type Change struct {
	Config  Config
	Desired *Version      // nil unless a new version is desired
	Event   *device.Event // nil stores and emits no event
}

// Decide returns the change of a device's configuration; nil for none.
type Decide func(d device.Device, c Config) (*Change, error)

// Store persists configurations. A device without a stored configuration has the empty one.
type Store interface {
	device.Reader

	// ChangeConfig stores the configuration that decide returns, and a new desired version. Changes of one device are
	// serial. The store may retry decide, so it must have no side effects. NOT_FOUND if the device does not exist.
	ChangeConfig(ctx context.Context, deviceID string, decide Decide) (Config, error)

	// GetConfigs returns the configurations of the existing devices, in any order.
	GetConfigs(ctx context.Context, deviceIDs []string) ([]Config, error)

	// ConfigVersions returns a page of each device's desired versions, the newest first.
	ConfigVersions(ctx context.Context, deviceIDs []string, request page.Request) (map[string]page.Page[Version], error)

	// UndeliveredConfigs returns configurations whose desired version was neither reported nor delivered, of devices
	// after an id, in order. It skips devices that are OFFLINE or connected to another process.
	UndeliveredConfigs(ctx context.Context, after string, limit int) ([]Config, error)

	// MarkDelivered records that the versions were delivered.
	MarkDelivered(ctx context.Context, delivered []Config) error

	// SetConfigSchema stores the JSON Schema of a kind; "" for none.
	SetConfigSchema(ctx context.Context, schema Schema) error

	// ConfigSchemas returns the schemas in the order of their kinds.
	ConfigSchemas(ctx context.Context) ([]Schema, error)
}
