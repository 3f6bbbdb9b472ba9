package twin

import (
	"context"

	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/services/device"
)

// Change is a configuration as it shall be stored, and what happened.
type Change struct {
	Config  Config
	Desired *Version      // nil unless another configuration is wanted
	Event   *device.Event // nil for what is not worth an event: nothing is emitted then
}

// Decide decides about a device's configuration; nil when it stays as it is.
type Decide func(d device.Device, c Config) (*Change, error)

// Store stores configurations. A device that nothing was wanted of has one too: the empty one.
type Store interface {
	device.Reader

	// ChangeConfig calls decide, which decides about the configuration and stores it, and remembers a new
	// wanted version. Of one device, changes happen one after another, with those of the device too.
	// decide may be called again, so it must not act. NOT_FOUND when there is no such device.
	ChangeConfig(ctx context.Context, deviceID string, decide Decide) (Config, error)

	// GetConfigs returns the configurations of those of the devices that there are, in any order.
	GetConfigs(ctx context.Context, deviceIDs []string) ([]Config, error)

	// ConfigVersions returns a page of what was wanted of each device, the newest first.
	ConfigVersions(ctx context.Context, deviceIDs []string, request page.Request) (map[string]page.Page[Version], error)

	// UndeliveredConfigs returns configurations whose desired version was neither reported nor delivered, of devices
	// behind after in order of their ids. It leaves out devices that are OFFLINE or connected to another process.
	UndeliveredConfigs(ctx context.Context, after string, limit int) ([]Config, error)

	// MarkDelivered remembers that the versions were handed on.
	MarkDelivered(ctx context.Context, delivered []Config) error

	// SetConfigSchema stores the JSON Schema of a kind; "" for none.
	SetConfigSchema(ctx context.Context, schema Schema) error

	// ConfigSchemas returns the schemas that there are, in order of their kinds.
	ConfigSchemas(ctx context.Context) ([]Schema, error)
}
