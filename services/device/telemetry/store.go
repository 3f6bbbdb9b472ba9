package telemetry

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/services/device"
)

// Store persists readings. Each write is one durable transaction.
type Store interface {
	device.Reader

	// RecordAll stores the new readings of all recordings or none, and returns their number. It skips unknown
	// devices, and refuses a recording whose device has no storage left: refused has an error for it.
	RecordAll(ctx context.Context, recordings []Recording) (stored int64, refused []error, err error)

	// Record stores the new readings and returns their number. seen updates the last-seen time if it is later.
	// NOT_FOUND if the device does not exist.
	Record(ctx context.Context, deviceID string, readings []Reading, seen *time.Time) (stored int64, err error)

	// Correct is Record, but a new value at a key and time deletes the other values there that are not among the
	// readings and did not come from the device. updated counts the values that replace others; stored counts the
	// other new ones.
	Correct(ctx context.Context, deviceID string, readings []Reading, seen *time.Time) (stored, updated int64, err error)

	// Query returns the series that have points, in any order; points are by time, then by value. TooManyPoints if
	// there are more than MaxPoints in all.
	Query(ctx context.Context, query Query) ([]Series, error)
}
