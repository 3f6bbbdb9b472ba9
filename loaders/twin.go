package loaders

import (
	"context"

	"github.com/sluicehq/sluice/bff"
)

// deviceConfigs gives nil for a device that has no configuration to show.
func deviceConfigs(port bff.Devices) Batch[string, *bff.DeviceConfig] {
	split := func(id string) (string, struct{}) { return id, struct{}{} }
	return grouped(split, func(ctx context.Context, ids []string, _ struct{}) (map[string]*bff.DeviceConfig, error) {
		return port.GetDeviceConfigs(ctx, ids)
	})
}

func configHistory(port bff.Devices) Batch[PageKey, bff.Page[bff.DeviceConfigVersion]] {
	return grouped(splitPage, port.ListConfigVersions)
}
