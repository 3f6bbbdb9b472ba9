package twin

import (
	"context"

	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/services/device"
)

// Change is a configuration as it shall be kept, and what happened.
type Change struct {
	Config Config
	Wanted *Version      // nil unless another configuration is wanted
	Event  *device.Event // nil for what is not worth an event: nothing is emitted then
}

// Decide says what becomes of a device's configuration; nil when it stays as it is.
type Decide func(d device.Device, c Config) (*Change, error)

// Store keeps configurations. A device that nothing was wanted of has
// one too: the empty one.
type Store interface {
	device.Reader

	// ChangeConfig lets decide say what becomes of the configuration and keeps it, and remembers a new
	// wanted version. Of one device, changes happen one after another, with those of the device too.
	// decide may be called again, so it must not act. NOT_FOUND when there is no such device.
	ChangeConfig(ctx context.Context, deviceID string, decide Decide) (Config, error)

	// GetConfigs gives the configurations of those of the devices that there are, in any order.
	GetConfigs(ctx context.Context, deviceIDs []string) ([]Config, error)

	// ConfigVersions gives a page of what was wanted of each device, the newest first.
	ConfigVersions(ctx context.Context, deviceIDs []string, request page.Request) (map[string]page.Page[Version], error)

	// UndeliveredConfigs gives configurations that are wanted, were not reported, and were not handed
	// on in this version, of devices that are not known to be away.
	UndeliveredConfigs(ctx context.Context, limit int) ([]Config, error)

	// MarkDelivered remembers that the versions were handed on.
	MarkDelivered(ctx context.Context, delivered []Config) error

	// SetConfigSchema keeps the JSON Schema of a kind; "" for none.
	SetConfigSchema(ctx context.Context, schema Schema) error

	// ConfigSchemas gives the schemas that there are, in order of their kinds.
	ConfigSchemas(ctx context.Context) ([]Schema, error)
}
