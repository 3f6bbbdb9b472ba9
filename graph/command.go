package graph

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/graph/model"
	"github.com/sluicehq/sluice/graph/plan"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/loaders"
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

func (deviceResolver) Commands(ctx context.Context, device *bff.Device, first *int, after *string) (*model.CommandConnection, error) {
	request, err := pageRequest(ctx, first, after)
	if err != nil {
		return nil, err
	}
	page, err := loaders.FromContext(ctx).DeviceCommands.Load(ctx, loaders.PageKey{ID: device.ID, Page: request})
	if err != nil {
		return nil, err
	}
	return commandConnection(page, request), nil
}

func commandConnection(page bff.Page[bff.Command], request bff.PageRequest) *model.CommandConnection {
	edges, info := connection(page, request, func(cursor string, node *bff.Command) model.CommandEdge {
		return model.CommandEdge{Cursor: cursor, Node: node}
	})
	return &model.CommandConnection{Edges: edges, Nodes: nonNil(page.Items), PageInfo: info, TotalCount: page.Total}
}

func (deviceResolver) Log(ctx context.Context, device *bff.Device, from, to time.Time, first *int) ([]*bff.LogLine, error) {
	key, err := logKey(from, to, first)
	if err != nil {
		return nil, err
	}
	key.ID = device.ID
	lines, err := loaders.FromContext(ctx).DeviceLog.Load(ctx, key)
	return nonNil(lines), err
}

func (commandResolver) Device(ctx context.Context, command *bff.Command) (*bff.Device, error) {
	return loaders.FromContext(ctx).Device.Load(ctx, command.DeviceID)
}

func (commandResolver) Log(ctx context.Context, command *bff.Command, first *int) ([]*bff.LogLine, error) {
	key, err := logKey(time.Time{}, time.Time{}, first)
	if err != nil {
		return nil, err
	}
	key.ID = command.ID
	lines, err := loaders.FromContext(ctx).CommandLog.Load(ctx, key)
	return nonNil(lines), err
}

// logKey reads the arguments of log; whose it is remains open.
func logKey(from, to time.Time, first *int) (loaders.LogKey, error) {
	key := loaders.LogKey{From: from, To: to}
	if first == nil {
		return key, nil
	}
	if *first < 1 {
		return key, errs.Invalid("first", "must be at least 1")
	}
	key.First = *first
	return key, nil
}

func deviceLogAsked(_ context.Context, args plan.Args) (loaders.LogKey, error) {
	return logKey(plan.Arg[time.Time](args, "from"), plan.Arg[time.Time](args, "to"), plan.Arg[*int](args, "first"))
}

func deviceLogKey(device *bff.Device, asked loaders.LogKey) (loaders.LogKey, error) {
	asked.ID = device.ID
	return asked, nil
}

func commandLogAsked(_ context.Context, args plan.Args) (loaders.LogKey, error) {
	return logKey(time.Time{}, time.Time{}, plan.Arg[*int](args, "first"))
}

func commandLogKey(command *bff.Command, asked loaders.LogKey) (loaders.LogKey, error) {
	asked.ID = command.ID
	return asked, nil
}

func logShown(_ loaders.LogKey, lines []*bff.LogLine) []*bff.LogLine { return nonNil(lines) }
