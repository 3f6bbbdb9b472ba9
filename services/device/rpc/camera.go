package rpc

import (
	"context"

	"github.com/sluicehq/sluice/services/device/camera"
	devicev1 "github.com/sluicehq/sluice/services/gen/device/v1"
	types "github.com/sluicehq/sluice/services/types/rpc"
)

type cameras struct {
	devicev1.UnimplementedCamerasServer
	service *camera.Service
}

func (s cameras) StartStream(ctx context.Context, in *devicev1.StreamRequest) (*devicev1.Stream, error) {
	st, err := s.service.StartStream(ctx, camera.StreamInput{DeviceID: in.GetDeviceId(), Viewer: in.GetViewer()})
	return types.Reply(st, err, streamMessage)
}

func (s cameras) StopStream(ctx context.Context, in *devicev1.StreamRequest) (*devicev1.Stream, error) {
	st, err := s.service.StopStream(ctx, camera.StreamInput{DeviceID: in.GetDeviceId(), Viewer: in.GetViewer()})
	return types.Reply(st, err, streamMessage)
}

func (s cameras) BatchGetStreams(ctx context.Context, in *devicev1.BatchGetStreamsRequest) (*devicev1.BatchGetStreamsResponse, error) {
	streams, err := s.service.BatchGetStreams(ctx, in.GetDeviceIds())
	if err != nil {
		return nil, err
	}
	return &devicev1.BatchGetStreamsResponse{Streams: types.Each(streams, streamMessage)}, nil
}

func (s cameras) MoveCamera(ctx context.Context, in *devicev1.MoveCameraRequest) (*devicev1.Command, error) {
	c, err := s.service.MoveCamera(ctx, camera.MoveInput{
		DeviceID: in.GetDeviceId(), Pan: in.Pan, Tilt: in.Tilt, Zoom: in.Zoom, Focus: in.Focus, IdempotencyKey: in.GetIdempotencyKey(),
	})
	return types.Reply(c, err, shownTo(ctx))
}

func (s cameras) TakeSnapshot(ctx context.Context, in *devicev1.TakeSnapshotRequest) (*devicev1.Command, error) {
	c, err := s.service.TakeSnapshot(ctx, camera.SnapshotInput{DeviceID: in.GetDeviceId(), Upload: in.GetUploadJson(), CommandID: in.GetCommandId()})
	return types.Reply(c, err, shownTo(ctx))
}

func streamMessage(st camera.StreamView) *devicev1.Stream {
	return &devicev1.Stream{
		DeviceId: st.DeviceID, State: string(st.State), Since: types.Timestamp(st.Since), Viewers: int32(st.Watching),
		LeaseUntil: types.Timestamp(st.LeaseUntil), LingerUntil: types.Timestamp(st.Linger),
		AnswerJson: st.Answer, Reason: st.Reason, Error: st.Error,
	}
}
