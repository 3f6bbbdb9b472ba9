package graph

import (
	"context"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/ids"
)

func (r mutationResolver) StartStream(ctx context.Context, input bff.StreamInput) (*bff.StreamSession, error) {
	if err := checkID("deviceId", ids.Device, input.DeviceID); err != nil {
		return nil, err
	}
	return r.Devices.StartStream(ctx, input)
}

func (r mutationResolver) StopStream(ctx context.Context, deviceID string, viewer *string) (*bff.StreamSession, error) {
	if err := checkID("deviceId", ids.Device, deviceID); err != nil {
		return nil, err
	}
	return r.Devices.StopStream(ctx, deviceID, viewer)
}

func (r mutationResolver) MoveCamera(ctx context.Context, input bff.MoveCameraInput) (*bff.Command, error) {
	if err := checkID("deviceId", ids.Device, input.DeviceID); err != nil {
		return nil, err
	}
	return r.Devices.MoveCamera(ctx, input)
}

func (r mutationResolver) TakeSnapshot(ctx context.Context, deviceID string) (*bff.Command, error) {
	if err := checkID("deviceId", ids.Device, deviceID); err != nil {
		return nil, err
	}
	return r.Devices.TakeSnapshot(ctx, deviceID, nil)
}
