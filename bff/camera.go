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
	// TakeSnapshot commands a camera to upload an image to the target that the object describes. With a nil upload
	// the adapter that stores images adds the target.
	TakeSnapshot(ctx context.Context, deviceID string, upload JSON) (*Command, error)
}

// StreamState is STOPPED, STARTING, LIVE or STOPPING.
type StreamState string

// StreamSession is the stream of a camera, as one viewer sees it.
type StreamSession struct {
	DeviceID    string
	State       StreamState
	Since       *time.Time
	Viewers     int
	LeaseUntil  *time.Time // the lease of the caller
	LingerUntil *time.Time
	Answer      JSON // payload of the camera's reply when it started
	Reason      *string
	Error       *string
}

// StreamInput names a camera and a viewer.
type StreamInput struct {
	DeviceID string
	Viewer   *string
}

// MoveCameraInput is the new direction of a camera; a nil field does not change.
type MoveCameraInput struct {
	DeviceID               string
	Pan, Tilt, Zoom, Focus *float64
	IdempotencyKey         *string
}
