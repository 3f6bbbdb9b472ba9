package graph

import (
	"context"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/graph/model"
	"github.com/sluicehq/sluice/internal/ids"
)

func (r queryResolver) Devices(ctx context.Context, filter *bff.DeviceFilter, orderBy *bff.DeviceOrder, first *int, after *string) (*model.DeviceConnection, error) {
	request, err := pageRequest(ctx, first, after)
	if err != nil {
		return nil, err
	}
	var order bff.DeviceOrder
	if orderBy != nil {
		order = *orderBy
	}
	page, err := unlessEmpty(filter, func() (bff.Page[bff.Device], error) { return r.Ports.Devices.ListDevices(ctx, filter, order, request) })
	if err != nil {
		return nil, err
	}
	edges, info := connection(page, request, func(cursor string, node *bff.Device) model.DeviceEdge {
		return model.DeviceEdge{Cursor: cursor, Node: node}
	})
	return &model.DeviceConnection{Edges: edges, Nodes: page.Items, PageInfo: info, TotalCount: page.Total}, nil
}

func (r mutationResolver) RegisterDevice(ctx context.Context, input bff.RegisterDeviceInput) (*bff.RegisteredDevice, error) {
	return r.Devices.RegisterDevice(ctx, input)
}

func (r mutationResolver) RotateDeviceSecret(ctx context.Context, id string) (*bff.RegisteredDevice, error) {
	if err := checkID("id", ids.Device, id); err != nil {
		return nil, err
	}
	return r.Devices.RotateDeviceSecret(ctx, id)
}

func (r mutationResolver) UpdateDevice(ctx context.Context, input bff.UpdateDeviceInput) (*bff.Device, error) {
	if err := checkID("id", ids.Device, input.ID); err != nil {
		return nil, err
	}
	return r.Devices.UpdateDevice(ctx, input)
}

func (r mutationResolver) DeleteDevice(ctx context.Context, id string, expectedVersion *int) (*string, error) {
	if err := checkID("id", ids.Device, id); err != nil {
		return nil, err
	}
	if err := r.Devices.DeleteDevice(ctx, id, expectedVersion); err != nil {
		return nil, err
	}
	return &id, nil
}
