package loaders

import (
	"context"
	"strings"
	"time"

	"github.com/sluicehq/sluice/bff"
)

// Devices loads devices by id.
func Devices(p Ports) Batch[string, *bff.Device] { return byID("device", p.Devices.GetDevices) }

// DeviceEvents loads pages of the events of devices.
func DeviceEvents(p Ports) Batch[PageKey, bff.Page[bff.DeviceEvent]] {
	return grouped(splitPage, p.Devices.ListDeviceEvents)
}

// DeviceJobs loads pages of the jobs of devices.
func DeviceJobs(p Ports) Batch[PageKey, bff.Page[bff.Job]] {
	return grouped(splitPage, p.Jobs.ListDeviceJobs)
}

// SeriesKey selects the telemetry of a device.
type SeriesKey struct {
	DeviceID    string
	Keys        string // joined by commas
	From, To    time.Time
	StepSeconds int
	Aggregate   bff.Aggregate
	TimeZone    string
}

// DeviceSeries loads the telemetry of devices.
func DeviceSeries(p Ports) Batch[SeriesKey, []*bff.Series] {
	split := func(k SeriesKey) (string, SeriesKey) {
		id := k.DeviceID
		k.DeviceID = ""
		return id, k
	}
	return grouped(split, func(ctx context.Context, ids []string, k SeriesKey) (map[string][]*bff.Series, error) {
		return p.Devices.QueryTelemetry(ctx, ids, bff.TelemetryQuery{
			Keys: strings.Split(k.Keys, ","), From: k.From, To: k.To, StepSeconds: k.StepSeconds, Aggregate: k.Aggregate, TimeZone: k.TimeZone,
		})
	})
}
