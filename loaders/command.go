package loaders

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/bff"
)

func commands(port bff.Commands) Batch[string, *bff.Command] {
	return nodes("command", port.GetCommands)
}

func deviceCommands(port bff.Commands) Batch[PageKey, bff.Page[bff.Command]] {
	return grouped(splitPage, port.ListDeviceCommands)
}

// LogKey asks for the first lines of the log of a command or, over a time, of a device.
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

func commandLog(port bff.Commands) Batch[LogKey, []*bff.LogLine] {
	return grouped(splitLog, func(ctx context.Context, ids []string, k LogKey) (map[string][]*bff.LogLine, error) {
		return port.GetCommandLogs(ctx, ids, k.First)
	})
}

func deviceLog(port bff.Commands) Batch[LogKey, []*bff.LogLine] {
	return grouped(splitLog, func(ctx context.Context, ids []string, k LogKey) (map[string][]*bff.LogLine, error) {
		return port.GetDeviceLogs(ctx, ids, bff.LogQuery{From: k.From, To: k.To, First: k.First})
	})
}
