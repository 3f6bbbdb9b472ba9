package bff

import (
	"context"
	"time"
)

// Cameras drives cameras. GetStreams is a batch read.
type Cameras interface {
	StartStream(ctx context.Context, input StreamInput) (*StreamSession, error)
	StopStream(ctx context.Context, deviceID string, viewer *string) (*StreamSession, error)
	GetStreams(ctx context.Context, deviceIDs []string) (map[string]*StreamSession, error)
	MoveCamera(ctx context.Context, input MoveCameraInput) (*Command, error)
	// TakeSnapshot has a camera put an image where upload says, an object that it understands; nil
	// leaves it to who keeps images.
	TakeSnapshot(ctx context.Context, deviceID string, upload JSON) (*Command, error)
}

// StreamState is STOPPED, STARTING, LIVE or STOPPING.
type StreamState string

// StreamSession is a camera's stream as one who may watch it sees it.
type StreamSession struct {
	DeviceID    string
	State       StreamState
	Since       *time.Time
	Viewers     int
	LeaseUntil  *time.Time // of the caller
	LingerUntil *time.Time
	Answer      JSON // of the camera, when it started
	Reason      *string
	Error       *string
}

// StreamInput says who watches which camera.
type StreamInput struct {
	DeviceID string
	Viewer   *string
}

// MoveCameraInput says where a camera shall look; what is nil stays as it is.
type MoveCameraInput struct {
	DeviceID               string
	Pan, Tilt, Zoom, Focus *float64
	IdempotencyKey         *string
}
