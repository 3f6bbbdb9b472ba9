package bff

import (
	"context"
	"time"
)

// Cameras is the part of the device service for cameras. GetStreams is a batch read.
type Cameras interface {
	StartStream(ctx context.Context, input StreamInput) (*StreamSession, error)
	StopStream(ctx context.Context, deviceID string, viewer *string) (*StreamSession, error)
	GetStreams(ctx context.Context, deviceIDs []string) (map[string]*StreamSession, error)
	MoveCamera(ctx context.Context, input MoveCameraInput) (*Command, error)
	// TakeSnapshot sends the command to upload an image to the target. With a nil upload the adapter that stores
	// images adds the target.
	TakeSnapshot(ctx context.Context, deviceID string, upload *SnapshotUpload) (*Command, error)
}

// StreamState is STOPPED, STARTING, LIVE or STOPPING.
type StreamState string

// StreamSession is the stream of a camera for one viewer.
type StreamSession struct {
	DeviceID    string
	State       StreamState
	Since       *time.Time
	Viewers     int
	LeaseUntil  *time.Time // the lease of the caller
	LingerUntil *time.Time
	Answer      JSON // the camera's response to the start
	Reason      *string
	Error       *string
}

// StreamInput names a camera and a viewer.
type StreamInput struct {
	DeviceID string
	Viewer   *string
}

// MoveCameraInput is the new direction of a camera; nil fields do not change.
type MoveCameraInput struct {
	DeviceID               string
	Pan, Tilt, Zoom, Focus *float64
	IdempotencyKey         *string
}

// SnapshotUpload is where a camera uploads an image, bound to the command that asks for it.
type SnapshotUpload struct {
	CommandID string
	Arguments JSON
}
