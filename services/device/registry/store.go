package registry

import (
	"context"

	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/services/device"
)

// Store persists devices and their events. Each write is one durable transaction: the device, its Event and the
// emitted event. Methods do not find deleted devices.
type Store interface {
	device.Reader

	// Create stores a new device. A repeat under the key returns the first result.
	Create(ctx context.Context, key idempotency.Key, made device.Change) (device.Device, error)

	// Change stores the device that decide returns. Changes of one device are serial. The store may retry decide, so
	// it must have no side effects. Its error is returned unchanged. NOT_FOUND if the device does not exist.
	Change(ctx context.Context, id string, decide Decide) (device.Device, error)

	// Import stores the devices whose source and external id are new, and calls merge for the others. It returns the
	// final devices in the order of made, and the number of new ones.
	Import(ctx context.Context, made []device.Change, merge Merge) (devices []device.Device, created int64, err error)

	// List returns a page of devices.
	List(ctx context.Context, filter Filter, order Order, request page.Request) (page.Page[device.Device], error)

	// Count counts the devices that the filter selects.
	Count(ctx context.Context, filter Filter) (Counts, error)

	// Events returns a page of each device's events, the newest first; the cursor of the request applies to each
	// device. The number of queries is constant.
	Events(ctx context.Context, deviceIDs []string, request page.Request) (map[string]page.Page[device.Event], error)

	// SecretHash returns the hash of the device's secret; "" without a device or a secret.
	SecretHash(ctx context.Context, deviceID string) (string, error)
}

// Decide returns the change of a device; nil for none.
type Decide func(d device.Device) (*device.Change, error)

// Merge returns the change of a known device that is imported again; nil for none.
type Merge func(known, draft device.Device) (*device.Change, error)

// Filter selects devices; an empty field matches all.
type Filter struct {
	Kinds        []device.Kind
	Presences    []device.Presence
	Labels       map[string]string // all of these
	NameContains string            // case-insensitive
	Public       bool              // presences as members see them, without what was sent during rides
}

// Order is the order of a list.
type Order string

// The orders. ByName ignores case and compares the first 100 letters; ties are in the order of creation.
const (
	ByName Order = "NAME"
	Newest Order = "NEWEST"
)
