package camera

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/command"
)

// StreamChange is the stream to store, and its event.
type StreamChange struct {
	Stream Stream
	Events []device.Event
}

// Store persists streams. A device without a stored stream has a STOPPED one.
type Store interface {
	device.Reader

	// ChangeStream stores the stream that decide returns; nil changes nothing. Command is the one that the stream
	// names, or nil. Changes of one device are serial. The store may retry decide, so it must have no side effects.
	// NOT_FOUND if the device does not exist.
	ChangeStream(ctx context.Context, deviceID string, decide func(d device.Device, st Stream, c *command.Command) (*StreamChange, error)) (Stream, error)

	// GetStreams returns the streams of the existing devices, in any order.
	GetStreams(ctx context.Context, deviceIDs []string) ([]Stream, error)

	// DueStreams returns at most most devices whose stream is due at now, the most urgent first.
	DueStreams(ctx context.Context, now time.Time, most int) ([]string, error)
}
