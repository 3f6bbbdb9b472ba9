package cache

import (
	"context"
	"slices"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/entity"
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

// sharedReader returns the context of a read that all members share, and the account of the member: a member without an
// account has no ride, and the devices name the accounts that see them in another state. Other callers share no entry
// with callers who see another state, so their account is "".
func sharedReader(ctx context.Context) (shared context.Context, account string) {
	who := caller.FromContext(ctx)
	if who.APIKeyID != "" || who.AccountID == "" || entity.Device.Visibility(who).All {
		return ctx, ""
	}
	return caller.NewContext(ctx, caller.Caller{Role: who.Role, Scopes: who.Scopes}), who.AccountID
}

// personal replaces the devices that the account sees in another state. It asks the service for them, without the cache.
func (d devices) personal(ctx context.Context, account string, found []*bff.Device) ([]*bff.Device, error) {
	var ids []string
	for _, one := range found {
		if account != "" && slices.Contains(one.Riders, account) {
			ids = append(ids, one.ID)
		}
	}
	if len(ids) == 0 {
		return found, nil
	}
	own, err := byID(d.Devices.GetDevices(ctx, ids))
	if err != nil {
		return nil, err
	}
	found = slices.Clone(found) // the cache has the list
	for i, one := range found {
		if seen, ok := own[one.ID]; ok {
			found[i] = seen
		}
	}
	return found, nil
}

func (d devices) GetDevices(ctx context.Context, ids []string) ([]*bff.Device, error) {
	shared, account := sharedReader(ctx)
	byIDs, err := d.get.get(shared, "", ids, func(ctx context.Context, ids []string) (map[string]*bff.Device, error) {
		return byID(d.Devices.GetDevices(ctx, ids))
	})
	found, err := inOrder(ids, byIDs, err)
	if err != nil {
		return nil, err
	}
	return d.personal(ctx, account, found)
}

func (d devices) ListDevices(ctx context.Context, filter *bff.DeviceFilter, order bff.DeviceOrder, page bff.PageRequest) (bff.Page[bff.Device], error) {
	shared, account := sharedReader(ctx)
	found, err := getSingle(shared, d.list, d.listArgs.key(deviceListArgs{filter, order, page}), func(ctx context.Context) (bff.Page[bff.Device], error) {
		return d.Devices.ListDevices(ctx, filter, order, page)
	})
	if err != nil {
		return found, err
	}
	found.Items, err = d.personal(ctx, account, found.Items)
	return found, err
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
