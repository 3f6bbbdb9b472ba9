package registry

import (
	"context"

	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/services/device"
)

// Store stores devices and their events. Each write is one transaction, durable when the method returns
// nil: a changed device, its Event and what is emitted are there together or not at all. Devices that
// were deleted are not there for any method.
type Store interface {
	device.Reader

	// Create stores a new device. A repeat under the key returns the first result.
	Create(ctx context.Context, key idempotency.Key, made device.Change) (device.Device, error)

	// Change calls decide, which decides about the device and stores it. Of one device, changes happen
	// one after another. decide may be called again, so it must not act. Its error is returned as it
	// is. NOT_FOUND when there is no such device.
	Change(ctx context.Context, id string, decide Decide) (device.Device, error)

	// Import stores those of the devices whose source and external id are new, and calls merge, which says what
	// becomes of the others. It returns a device for each of made, in order and as it is at the end,
	// and the number of those that are new.
	Import(ctx context.Context, made []device.Change, merge Merge) (devices []device.Device, created int64, err error)

	// List returns a page of devices.
	List(ctx context.Context, filter Filter, order Order, request page.Request) (page.Page[device.Device], error)

	// Count counts the devices that the filter selects.
	Count(ctx context.Context, filter Filter) (Counts, error)

	// Events returns a page of each device's events, the newest first; the cursor of the request holds
	// for each device. The number of queries does not depend on the number of devices.
	Events(ctx context.Context, deviceIDs []string, request page.Request) (map[string]page.Page[device.Event], error)

	// SecretHash returns the hash of the device's secret; "" when there is no such device, or it has none.
	SecretHash(ctx context.Context, deviceID string) (string, error)
}

// Decide decides about a device; nil when it stays as it is.
type Decide func(d device.Device) (*device.Change, error)

// Merge decides about a known device that is imported again as the draft; nil when it stays as it is.
type Merge func(known, draft device.Device) (*device.Change, error)

// Filter narrows a list; what is empty does not narrow.
type Filter struct {
	Kinds        []device.Kind
	Presences    []device.Presence
	Labels       map[string]string // all of these
	NameContains string            // whatever the case
}

// Order is the order of a list.
type Order string

// The orders. ByName does not tell capital from small letters, nor names whose first 100 letters
// are the same; ties are in order of making.
const (
	ByName Order = "NAME"
	Newest Order = "NEWEST"
)
