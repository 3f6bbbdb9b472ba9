package graph

import (
	"context"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/graph/model"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/loaders"
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

func (deviceResolver) Config(ctx context.Context, device *bff.Device) (*bff.DeviceConfig, error) {
	return loaders.FromContext(ctx).DeviceConfig.Load(ctx, device.ID)
}

func (deviceConfigResolver) History(ctx context.Context, config *bff.DeviceConfig, first *int, after *string) (*model.DeviceConfigVersionConnection, error) {
	request, err := pageRequest(ctx, first, after)
	if err != nil {
		return nil, err
	}
	page, err := loaders.FromContext(ctx).ConfigHistory.Load(ctx, loaders.PageKey{ID: config.DeviceID, Page: request})
	if err != nil {
		return nil, err
	}
	return configConnection(page, request), nil
}

func configConnection(page bff.Page[bff.DeviceConfigVersion], request bff.PageRequest) *model.DeviceConfigVersionConnection {
	edges, info := connection(page, request, func(cursor string, node *bff.DeviceConfigVersion) model.DeviceConfigVersionEdge {
		return model.DeviceConfigVersionEdge{Cursor: cursor, Node: node}
	})
	return &model.DeviceConfigVersionConnection{Edges: edges, Nodes: nonNil(page.Items), PageInfo: info, TotalCount: page.Total}
}
