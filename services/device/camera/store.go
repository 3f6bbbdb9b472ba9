package camera

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/command"
)

// StreamChange is a stream as it shall be kept, and what happened.
type StreamChange struct {
	Stream Stream
	Events []device.Event
}

// Store keeps streams. A device that was never streamed from has one
// too: it is STOPPED.
type Store interface {
	device.Reader

	// ChangeStream lets decide say what becomes of the stream and keeps it; nil leaves it as it is.
	// Command is the one that the stream names, or nil. Of one device, changes happen one after
	// another. decide may be called again, so it must not act. NOT_FOUND when there is no such device.
	ChangeStream(ctx context.Context, deviceID string, decide func(d device.Device, st Stream, c *command.Command) (*StreamChange, error)) (Stream, error)

	// GetStreams gives the streams of those of the devices that there are, in any order.
	GetStreams(ctx context.Context, deviceIDs []string) ([]Stream, error)

	// DueStreams gives devices whose stream is to be looked after at now, the most urgent first.
	DueStreams(ctx context.Context, now time.Time, most int) ([]string, error)
}
