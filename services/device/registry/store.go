package registry

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/services/device"
)

// Store keeps devices and their events. Each write is one transaction, durable when the method returns
// nil: a changed device, its Event and what is emitted are there together or not at all. Devices that
// were deleted are not there for any method.
type Store interface {
	device.Reader

	// Create keeps a new device. A repeat under the key gives the first result.
	Create(ctx context.Context, key idempotency.Key, made device.Change) (device.Device, error)

	// Change lets decide say what becomes of the device and keeps it. Of one device, changes happen
	// one after another. decide may be called again, so it must not act. Its error comes back as it
	// is. NOT_FOUND when there is no such device.
	Change(ctx context.Context, id string, decide Decide) (device.Device, error)

	// Import keeps those of the devices whose source and external id are new, and lets merge say what
	// becomes of the others. It gives a device for each of made, in order and as it is at the end,
	// and tells how many are new.
	Import(ctx context.Context, made []device.Change, merge Merge) (devices []device.Device, created int64, err error)

	// List gives a page of devices.
	List(ctx context.Context, filter Filter, order Order, request page.Request) (page.Page[device.Device], error)

	// Count counts the devices that the filter selects.
	Count(ctx context.Context, filter Filter) (Counts, error)

	// Events gives a page of each device's events, the newest first; the cursor of the request holds
	// for each device. The number of queries does not depend on the number of devices.
	Events(ctx context.Context, deviceIDs []string, request page.Request) (map[string]page.Page[device.Event], error)

	// SecretHash gives the hash of the device's secret; "" when there is no such device, or it has none.
	SecretHash(ctx context.Context, deviceID string) (string, error)

	// Strangers gives those of the connected, each with when its oldest connection began, who are not
	// there or have a newer secret.
	Strangers(ctx context.Context, connected map[string]time.Time) ([]string, error)
}

// Decide says what becomes of a device; nil when it stays as it is.
type Decide func(d device.Device) (*device.Change, error)

// Merge says what becomes of a known device that is imported again as the draft; nil when it stays
// as it is.
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
