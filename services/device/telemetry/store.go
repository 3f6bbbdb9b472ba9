package telemetry

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/services/device"
)

// Store stores readings. Each write is one transaction, durable when the method returns nil.
type Store interface {
	device.Reader

	// RecordAll stores those of the readings that are new, of all recordings or of none, and returns how
	// many they are. What belongs to no device is left out.
	RecordAll(ctx context.Context, recordings []Recording) (stored int64, err error)

	// Record stores those of the readings that are new and returns their number. The device was then seen at seen,
	// unless it is nil or the device was seen later. NOT_FOUND when there is no such device.
	Record(ctx context.Context, deviceID string, readings []Reading, seen *time.Time) (stored int64, err error)

	// Query returns the series that have points, in any order; their points by time, and by value
	// where the times are the same. TooManyPoints when they are more than MaxPoints in all.
	Query(ctx context.Context, query Query) ([]Series, error)
}
