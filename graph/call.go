package graph

import (
	"context"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/graph/model"
)

func (r queryResolver) DeviceCalls(ctx context.Context, filter *bff.DeviceCallFilter, first *int, after *string) (*model.DeviceCallConnection, error) {
	request, err := pageRequest(ctx, first, after)
	if err != nil {
		return nil, err
	}
	page, err := r.Ports.Devices.ListDeviceCalls(ctx, filter, request)
	if err != nil {
		return nil, err
	}
	edges, info := connection(page, request, func(cursor string, node *bff.DeviceCall) model.DeviceCallEdge {
		return model.DeviceCallEdge{Cursor: cursor, Node: node}
	})
	return &model.DeviceCallConnection{Edges: edges, Nodes: nonNil(page.Items), PageInfo: info, TotalCount: page.Total}, nil
}
