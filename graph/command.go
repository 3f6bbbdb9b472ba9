package graph

import (
	"context"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/ids"
)

func (r mutationResolver) SendCommand(ctx context.Context, input bff.SendCommandInput) (*bff.Command, error) {
	if err := checkID("deviceId", ids.Device, input.DeviceID); err != nil {
		return nil, err
	}
	return r.Devices.SendCommand(ctx, input)
}

func (r mutationResolver) CancelCommand(ctx context.Context, id string) (*bff.Command, error) {
	if err := checkID("id", ids.Command, id); err != nil {
		return nil, err
	}
	return r.Devices.CancelCommand(ctx, id)
}
