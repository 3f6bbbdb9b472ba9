package cache

import (
	"context"

	"github.com/sluicehq/sluice/bff"
)

// Commands and configurations are not cached. A command changes its device.

func (d devices) SendCommand(ctx context.Context, input bff.SendCommandInput) (*bff.Command, error) {
	return write(ctx, d.cache, "Devices.SendCommand", []string{input.DeviceID}, func(ctx context.Context) (*bff.Command, error) {
		return d.Devices.SendCommand(ctx, input)
	})
}

func (d devices) CancelCommand(ctx context.Context, id string) (*bff.Command, error) {
	return write(ctx, d.cache, "Devices.CancelCommand", nil, invalidatingDevice(d.cache, func(ctx context.Context) (*bff.Command, error) {
		return d.Devices.CancelCommand(ctx, id)
	}, func(c *bff.Command) string { return c.DeviceID }))
}

func (d devices) GetCommands(ctx context.Context, ids []string) ([]*bff.Command, error) {
	bff.ReadsOf(ctx).NoteUncacheable("Devices.GetCommands")
	return d.Devices.GetCommands(ctx, ids)
}

func (d devices) ListDeviceCommands(ctx context.Context, deviceIDs []string, page bff.PageRequest) (map[string]bff.Page[bff.Command], error) {
	bff.ReadsOf(ctx).NoteUncacheable("Devices.ListDeviceCommands")
	return d.Devices.ListDeviceCommands(ctx, deviceIDs, page)
}

func (d devices) GetCommandLogs(ctx context.Context, commandIDs []string, first int) (map[string][]*bff.LogLine, error) {
	bff.ReadsOf(ctx).NoteUncacheable("Devices.GetCommandLogs")
	return d.Devices.GetCommandLogs(ctx, commandIDs, first)
}

func (d devices) GetDeviceLogs(ctx context.Context, deviceIDs []string, query bff.LogQuery) (map[string][]*bff.LogLine, error) {
	bff.ReadsOf(ctx).NoteUncacheable("Devices.GetDeviceLogs")
	return d.Devices.GetDeviceLogs(ctx, deviceIDs, query)
}

func (d devices) SetDeviceConfig(ctx context.Context, deviceID string, desired bff.JSON, expectedVersion *int) (*bff.DeviceConfig, error) {
	return write(ctx, d.cache, "Devices.SetDeviceConfig", []string{deviceID}, func(ctx context.Context) (*bff.DeviceConfig, error) {
		return d.Devices.SetDeviceConfig(ctx, deviceID, desired, expectedVersion)
	})
}

func (d devices) GetDeviceConfigs(ctx context.Context, deviceIDs []string) (map[string]*bff.DeviceConfig, error) {
	bff.ReadsOf(ctx).NoteUncacheable("Devices.GetDeviceConfigs")
	return d.Devices.GetDeviceConfigs(ctx, deviceIDs)
}

func (d devices) ListConfigVersions(ctx context.Context, deviceIDs []string, page bff.PageRequest) (map[string]bff.Page[bff.DeviceConfigVersion], error) {
	bff.ReadsOf(ctx).NoteUncacheable("Devices.ListConfigVersions")
	return d.Devices.ListConfigVersions(ctx, deviceIDs, page)
}

func (d devices) ListDeviceConfigSchemas(ctx context.Context) ([]*bff.DeviceConfigSchema, error) {
	bff.ReadsOf(ctx).NoteUncacheable("Devices.ListDeviceConfigSchemas")
	return d.Devices.ListDeviceConfigSchemas(ctx)
}
