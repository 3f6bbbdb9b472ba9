package loaders

import (
	"context"
	"strings"
	"time"

	"github.com/sluicehq/sluice/bff"
)

func devices(port bff.Devices) Batch[string, *bff.Device] {
	return nodes("device", port.GetDevices)
}

func deviceEvents(port bff.Devices) Batch[PageKey, bff.Page[bff.DeviceEvent]] {
	return grouped(splitPage, port.ListDeviceEvents)
}

func deviceJobs(port bff.Jobs) Batch[PageKey, bff.Page[bff.Job]] {
	return grouped(splitPage, port.ListDeviceJobs)
}

// SeriesKey asks for a device's telemetry.
type SeriesKey struct {
	DeviceID    string
	Keys        string // joined by commas
	From, To    time.Time
	StepSeconds int
	Aggregate   bff.Aggregate
}

func deviceSeries(port bff.Devices) Batch[SeriesKey, []*bff.Series] {
	split := func(k SeriesKey) (string, SeriesKey) {
		id := k.DeviceID
		k.DeviceID = ""
		return id, k
	}
	return grouped(split, func(ctx context.Context, ids []string, k SeriesKey) (map[string][]*bff.Series, error) {
		return port.QueryTelemetry(ctx, ids, bff.TelemetryQuery{
			Keys: strings.Split(k.Keys, ","), From: k.From, To: k.To, StepSeconds: k.StepSeconds, Aggregate: k.Aggregate,
		})
	})
}
