package loaders

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/bff"
)

// Commands loads commands by id.
func Commands(p Ports) Batch[string, *bff.Command] { return byID("command", p.Devices.GetCommands) }

// DeviceCommands loads pages of the commands of devices.
func DeviceCommands(p Ports) Batch[PageKey, bff.Page[bff.Command]] {
	return grouped(splitPage, p.Devices.ListDeviceCommands)
}

// LogKey selects the first lines of the log of a command or, in a range of time, of a device.
type LogKey struct {
	ID       string
	From, To time.Time
	First    int
}

func splitLog(k LogKey) (string, LogKey) {
	id := k.ID
	k.ID = ""
	return id, k
}

// CommandLog loads the logs of commands.
func CommandLog(p Ports) Batch[LogKey, []*bff.LogLine] {
	return grouped(splitLog, func(ctx context.Context, ids []string, k LogKey) (map[string][]*bff.LogLine, error) {
		return p.Devices.GetCommandLogs(ctx, ids, k.First)
	})
}

// DeviceLog loads the logs of devices.
func DeviceLog(p Ports) Batch[LogKey, []*bff.LogLine] {
	return grouped(splitLog, func(ctx context.Context, ids []string, k LogKey) (map[string][]*bff.LogLine, error) {
		return p.Devices.GetDeviceLogs(ctx, ids, bff.LogQuery{From: k.From, To: k.To, First: k.First})
	})
}
