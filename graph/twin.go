package graph

import (
	"context"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/ids"
)

func (r mutationResolver) SetDeviceConfig(ctx context.Context, id string, desired bff.JSON, expectedVersion *int) (*bff.DeviceConfig, error) {
	if err := checkID("id", ids.Device, id); err != nil {
		return nil, err
	}
	return r.Devices.SetDeviceConfig(ctx, id, desired, expectedVersion)
}

func (r mutationResolver) SetDeviceConfigSchema(ctx context.Context, kind bff.DeviceKind, schema bff.JSON) (*bff.DeviceConfigSchema, error) {
	return r.Devices.SetDeviceConfigSchema(ctx, kind, schema)
}

func (r queryResolver) DeviceConfigSchemas(ctx context.Context) ([]*bff.DeviceConfigSchema, error) {
	schemas, err := r.Ports.Devices.ListDeviceConfigSchemas(ctx)
	return nonNil(schemas), err
}
