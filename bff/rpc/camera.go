package rpc

import (
	"context"

	"google.golang.org/grpc"

	"github.com/sluicehq/sluice/bff"
	devicev1 "github.com/sluicehq/sluice/services/gen/device/v1"
)

// cameras calls the device service for cameras.
type cameras struct{ client devicev1.CamerasClient }

func newCameras(conn grpc.ClientConnInterface) cameras {
	return cameras{client: devicev1.NewCamerasClient(conn)}
}

// StartStream implements bff.Cameras.
func (c cameras) StartStream(ctx context.Context, input bff.StreamInput) (*bff.StreamSession, error) {
	return one(streamSession)(c.client.StartStream(ctx, &devicev1.StreamRequest{DeviceId: input.DeviceID, Viewer: text(input.Viewer)}))
}

// StopStream implements bff.Cameras.
func (c cameras) StopStream(ctx context.Context, deviceID string, viewer *string) (*bff.StreamSession, error) {
	return one(streamSession)(c.client.StopStream(ctx, &devicev1.StreamRequest{DeviceId: deviceID, Viewer: text(viewer)}))
}

// GetStreams implements bff.Cameras.
func (c cameras) GetStreams(ctx context.Context, deviceIDs []string) (map[string]*bff.StreamSession, error) {
	m, err := c.client.BatchGetStreams(ctx, &devicev1.BatchGetStreamsRequest{DeviceIds: deviceIDs})
	if err != nil {
		return nil, err
	}
	streams := make(map[string]*bff.StreamSession, len(m.GetStreams()))
	for _, st := range m.GetStreams() {
		streams[st.GetDeviceId()] = streamSession(st)
	}
	return streams, nil
}

// MoveCamera implements bff.Cameras.
func (c cameras) MoveCamera(ctx context.Context, input bff.MoveCameraInput) (*bff.Command, error) {
	return one(command)(c.client.MoveCamera(ctx, &devicev1.MoveCameraRequest{
		DeviceId: input.DeviceID, Pan: input.Pan, Tilt: input.Tilt, Zoom: input.Zoom, Focus: input.Focus,
		IdempotencyKey: text(input.IdempotencyKey),
	}))
}

// TakeSnapshot implements bff.Cameras.
func (c cameras) TakeSnapshot(ctx context.Context, deviceID string, upload *bff.SnapshotUpload) (*bff.Command, error) {
	request := &devicev1.TakeSnapshotRequest{DeviceId: deviceID}
	if upload != nil {
		request.UploadJson, request.CommandId = string(upload.Arguments), upload.CommandID
	}
	return one(command)(c.client.TakeSnapshot(ctx, request))
}

func streamSession(m *devicev1.Stream) *bff.StreamSession {
	return &bff.StreamSession{
		DeviceID: m.GetDeviceId(), State: bff.StreamState(m.GetState()), Since: optionalTime(m.GetSince()), Viewers: int(m.GetViewers()),
		LeaseUntil: optionalTime(m.GetLeaseUntil()), LingerUntil: optionalTime(m.GetLingerUntil()),
		Answer: optionalJSON(m.GetAnswerJson()), Reason: optionalText(m.GetReason()), Error: optionalText(m.GetError()),
	}
}
