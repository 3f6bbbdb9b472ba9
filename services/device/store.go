package device

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/page"
)

// Store keeps devices, their events and their readings. Each write is one transaction, durable when
// the method returns nil: a changed device, its Event and what is emitted are there together or not
// at all. Devices that were deleted are not there for any method.
type Store interface {
	CommandStore

	// Create keeps a new device. A repeat under the key gives the first result.
	Create(ctx context.Context, key idempotency.Key, made Change) (Device, error)

	// Change lets decide say what becomes of the device and keeps it. Of one device, changes happen
	// one after another. decide may be called again, so it must not act. Its error comes back as it
	// is. NOT_FOUND when there is no such device.
	Change(ctx context.Context, id string, decide Decide) (Device, error)

	// Import keeps those of the devices whose source and external id are new, and lets merge say what
	// becomes of the others. It gives a device for each of made, in order and as it is at the end,
	// and tells how many are new.
	Import(ctx context.Context, made []Change, merge Merge) (devices []Device, created int64, err error)

	// Get gives the devices that there are, in any order.
	Get(ctx context.Context, ids []string) ([]Device, error)

	// List gives a page of devices.
	List(ctx context.Context, filter Filter, order Order, request page.Request) (page.Page[Device], error)

	// Count counts the devices that the filter selects.
	Count(ctx context.Context, filter Filter) (Counts, error)

	// Events gives a page of each device's events, the newest first; the cursor of the request holds
	// for each device. The number of queries does not depend on the number of devices.
	Events(ctx context.Context, deviceIDs []string, request page.Request) (map[string]page.Page[Event], error)

	// Note writes down what happened to a device and leaves the device as it is. Of a device that is
	// not there, nothing is written.
	Note(ctx context.Context, e Event) error

	// SecretHash gives the hash of the device's secret; "" when there is no such device, or it has none.
	SecretHash(ctx context.Context, deviceID string) (string, error)

	// Strangers gives those of the connected, each with when its oldest connection began, who are not
	// there or have a newer secret.
	Strangers(ctx context.Context, connected map[string]time.Time) ([]string, error)

	// RecordAll keeps those of the readings that are new, of all recordings or of none, and tells how
	// many they are. What belongs to no device is left out.
	RecordAll(ctx context.Context, recordings []Recording) (stored int64, err error)

	// Observe tells others where a device was, and keeps the latest of the positions when it is later
	// than the one that is known. The version stays. Of a device that is not there, nothing is told.
	Observe(ctx context.Context, deviceID string, positions []Position, now time.Time) error

	// Report keeps the board that a device reported and its firmware, in place of what is known. The
	// version stays; others are told when it makes a difference.
	Report(ctx context.Context, deviceID string, state ReportedState, now time.Time) error

	// DeviceIDs gives devices behind after, in order of their ids, deleted ones too.
	DeviceIDs(ctx context.Context, after string, limit int) ([]string, error)

	// Roll leaves of the device's readings before the time one row a step, from which Query answers
	// with the same steps, and with longer ones that hold whole steps. It tells how many readings it
	// rolled up.
	Roll(ctx context.Context, deviceID string, before time.Time, step time.Duration) (int64, error)

	// Forget drops the rows of steps that start before the time.
	Forget(ctx context.Context, deviceID string, before time.Time) error

	// Record keeps those of the readings that are new and tells how many they are. The device was
	// then seen at seen, unless it is nil or the device was seen later. NOT_FOUND when there is no
	// such device.
	Record(ctx context.Context, deviceID string, readings []Reading, seen *time.Time) (stored int64, err error)

	// Query gives the series that have points, in any order; their points by time, and by value
	// where the times are the same. TooManyPoints when they are more than MaxPoints in all.
	Query(ctx context.Context, query Query) ([]Series, error)

	Configs
	Streams
	Calls
}

// Encoding writes what events carry.
type Encoding struct {
	Device  func(Device) ([]byte, error)
	Command func(Command) ([]byte, error)
	LogLine func(LogLine) ([]byte, error)
}

// Decide says what becomes of a device; nil when it stays as it is.
type Decide func(d Device) (*Change, error)

// Merge says what becomes of a known device that is imported again as the draft; nil when it stays
// as it is.
type Merge func(known, draft Device) (*Change, error)

// Filter narrows a list; what is empty does not narrow.
type Filter struct {
	Kinds        []Kind
	Presences    []Presence
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
