package loaders

import "github.com/sluicehq/sluice/bff"

// DeviceConfigs loads the configuration of each device; nil for a device without a visible one.
func DeviceConfigs(p Ports) Batch[string, *bff.DeviceConfig] {
	return optional(p.Devices.GetDeviceConfigs)
}

// ConfigHistory loads pages of the versions of devices' configurations.
func ConfigHistory(p Ports) Batch[PageKey, bff.Page[bff.DeviceConfigVersion]] {
	return grouped(splitPage, p.Devices.ListConfigVersions)
}
