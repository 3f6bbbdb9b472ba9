package graph

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/graph/model"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/loaders"
)

func (r queryResolver) Device(ctx context.Context, id string) (*bff.Device, error) {
	if err := checkID("id", ids.Device, id); err != nil {
		return nil, err
	}
	return loaders.FromContext(ctx).Device.Load(ctx, id)
}

func (r queryResolver) Devices(ctx context.Context, filter *bff.DeviceFilter, orderBy *bff.DeviceOrder, first *int, after *string) (*model.DeviceConnection, error) {
	request, err := pageRequest(ctx, first, after)
	if err != nil {
		return nil, err
	}
	var order bff.DeviceOrder
	if orderBy != nil {
		order = *orderBy
	}
	page, err := r.Ports.Devices.ListDevices(ctx, filter, order, request)
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

func (deviceResolver) Telemetry(ctx context.Context, device *bff.Device, keys []string, from, to time.Time, stepSeconds *int, aggregate *bff.Aggregate) ([]*bff.Series, error) {
	key, err := seriesKey(keys, from, to, stepSeconds, aggregate)
	if err != nil {
		return nil, err
	}
	key.DeviceID = device.ID
	series, err := loaders.FromContext(ctx).DeviceSeries.Load(ctx, key)
	return nonNil(series), err
}

// seriesKey reads the arguments of telemetry; whose it is remains open.
func seriesKey(keys []string, from, to time.Time, stepSeconds *int, aggregate *bff.Aggregate) (loaders.SeriesKey, error) {
	if slices.ContainsFunc(keys, func(key string) bool { return key == "" || strings.Contains(key, ",") }) {
		return loaders.SeriesKey{}, errs.Invalid("keys", "a key has a name, and no comma in it")
	}
	key := loaders.SeriesKey{Keys: strings.Join(keys, ","), From: from, To: to}
	if stepSeconds != nil {
		if *stepSeconds < 1 {
			return loaders.SeriesKey{}, errs.Invalid("stepSeconds", "must be at least 1; leave it out for raw readings")
		}
		key.StepSeconds = *stepSeconds
	}
	if aggregate != nil {
		key.Aggregate = *aggregate
	}
	return key, nil
}

func (deviceResolver) Events(ctx context.Context, device *bff.Device, first *int, after *string) (*model.DeviceEventConnection, error) {
	request, err := pageRequest(ctx, first, after)
	if err != nil {
		return nil, err
	}
	page, err := loaders.FromContext(ctx).DeviceEvents.Load(ctx, loaders.PageKey{ID: device.ID, Page: request})
	if err != nil {
		return nil, err
	}
	return eventConnection(page, request), nil
}

func (deviceResolver) CurrentTrip(ctx context.Context, device *bff.Device) (*bff.Trip, error) {
	return loaders.FromContext(ctx).TripOnVehicle.Load(ctx, device.ID)
}

func (deviceResolver) Jobs(ctx context.Context, device *bff.Device, first *int, after *string) (*model.JobConnection, error) {
	request, err := pageRequest(ctx, first, after)
	if err != nil {
		return nil, err
	}
	page, err := loaders.FromContext(ctx).DeviceJobs.Load(ctx, loaders.PageKey{ID: device.ID, Page: request})
	if err != nil {
		return nil, err
	}
	return jobConnection(page, request), nil
}
