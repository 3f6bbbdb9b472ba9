package camera

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/command"
)

// StreamChange is a stream as it shall be stored, and what happened.
type StreamChange struct {
	Stream Stream
	Events []device.Event
}

// Store stores streams. A device that was never streamed from has one too: it is STOPPED.
type Store interface {
	device.Reader

	// ChangeStream calls decide, which decides about the stream and stores it; nil leaves it as it is.
	// Command is the one that the stream names, or nil. Of one device, changes happen one after
	// another. decide may be called again, so it must not act. NOT_FOUND when there is no such device.
	ChangeStream(ctx context.Context, deviceID string, decide func(d device.Device, st Stream, c *command.Command) (*StreamChange, error)) (Stream, error)

	// GetStreams returns the streams of those of the devices that there are, in any order.
	GetStreams(ctx context.Context, deviceIDs []string) ([]Stream, error)

	// DueStreams returns devices whose stream is to be processed at now, the most urgent first.
	DueStreams(ctx context.Context, now time.Time, most int) ([]string, error)
}
