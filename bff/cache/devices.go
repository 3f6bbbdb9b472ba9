package cache

import (
	"context"

	"github.com/sluicehq/sluice/bff"
)

// devices is a cached port. Embedded methods bypass the cache.
type devices struct {
	bff.Devices
	cache *Cache
	get   *read[*bff.Device]
	list  *read[bff.Page[bff.Device]]
	count *read[*bff.DeviceCounts]

	listArgs arguments[deviceListArgs]
}

type deviceListArgs struct {
	Filter *bff.DeviceFilter
	Order  bff.DeviceOrder
	Page   bff.PageRequest
}

// Devices wraps the port in the cache.
func (c *Cache) Devices(port bff.Devices) bff.Devices {
	return devices{
		Devices: port, cache: c,
		get:      newRead[*bff.Device](c, "Devices.GetDevices", true, nil),
		list:     newRead[bff.Page[bff.Device]](c, "Devices.ListDevices", false, nil),
		count:    newRead[*bff.DeviceCounts](c, "Devices.CountDevices", false, nil),
		listArgs: newArguments[deviceListArgs](),
	}
}

func (d devices) GetDevices(ctx context.Context, ids []string) ([]*bff.Device, error) {
	found, err := d.get.get(ctx, "", ids, func(ctx context.Context, ids []string) (map[string]*bff.Device, error) {
		return byID(d.Devices.GetDevices(ctx, ids))
	})
	return inOrder(ids, found, err)
}

func (d devices) ListDevices(ctx context.Context, filter *bff.DeviceFilter, order bff.DeviceOrder, page bff.PageRequest) (bff.Page[bff.Device], error) {
	return getSingle(ctx, d.list, d.listArgs.key(deviceListArgs{filter, order, page}), func(ctx context.Context) (bff.Page[bff.Device], error) {
		return d.Devices.ListDevices(ctx, filter, order, page)
	})
}

func (d devices) CountDevices(ctx context.Context) (*bff.DeviceCounts, error) {
	return getSingle(ctx, d.count, "", func(ctx context.Context) (*bff.DeviceCounts, error) {
		return d.Devices.CountDevices(ctx)
	})
}

func (d devices) ListDeviceEvents(ctx context.Context, deviceIDs []string, page bff.PageRequest) (map[string]bff.Page[bff.DeviceEvent], error) {
	bff.ReadsOf(ctx).NoteUncacheable("Devices.ListDeviceEvents")
	return d.Devices.ListDeviceEvents(ctx, deviceIDs, page)
}

func (d devices) QueryTelemetry(ctx context.Context, deviceIDs []string, query bff.TelemetryQuery) (map[string][]*bff.Series, error) {
	bff.ReadsOf(ctx).NoteUncacheable("Devices.QueryTelemetry")
	return d.Devices.QueryTelemetry(ctx, deviceIDs, query)
}

func (d devices) RegisterDevice(ctx context.Context, input bff.RegisterDeviceInput) (*bff.RegisteredDevice, error) {
	return write(ctx, d.cache, "Devices.RegisterDevice", nil, func(ctx context.Context) (*bff.RegisteredDevice, error) {
		return d.Devices.RegisterDevice(ctx, input)
	})
}

func (d devices) RotateDeviceSecret(ctx context.Context, id string) (*bff.RegisteredDevice, error) {
	return write(ctx, d.cache, "Devices.RotateDeviceSecret", []string{id}, func(ctx context.Context) (*bff.RegisteredDevice, error) {
		return d.Devices.RotateDeviceSecret(ctx, id)
	})
}

func (d devices) UpdateDevice(ctx context.Context, input bff.UpdateDeviceInput) (*bff.Device, error) {
	return write(ctx, d.cache, "Devices.UpdateDevice", []string{input.ID}, func(ctx context.Context) (*bff.Device, error) {
		return d.Devices.UpdateDevice(ctx, input)
	})
}

func (d devices) DeleteDevice(ctx context.Context, id string, expectedVersion *int) error {
	_, err := write(ctx, d.cache, "Devices.DeleteDevice", []string{id}, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, d.Devices.DeleteDevice(ctx, id, expectedVersion)
	})
	return err
}
