package importer

import (
	"context"
	"io"
	"slices"

	"github.com/sluicehq/sluice/recordings"
	"github.com/sluicehq/sluice/recordings/open"
)

const (
	maxReadings = 4_900 // per call, with up to maxOverlap readings of the last call
	maxOverlap  = 100
)

func (in *intake) telemetry(ctx context.Context, r io.Reader) error {
	sensors := in.newRoster(in.source("telemetry"), recordings.KindSensor)
	last := map[string][]recordings.Reading{} // the readings of the last time of each sensor
	to := newBatches(maxReadings, func(ctx context.Context, sensor string, part []recordings.Reading) error {
		id, reason, err := sensors.id(ctx, sensor)
		if err != nil {
			return err
		}
		if reason != "" {
			in.refuse(part[0].Line, len(part), reason)
			return nil
		}
		overlap := last[sensor]
		if len(last) > maxKnown {
			clear(last)
		}
		last[sensor] = lastTime(part)
		return in.sendReadings(ctx, id, overlap, part)
	})
	readings := open.Telemetry(r, in.file.Name, in.settled.read)
	return pass(ctx, in, readings, to, func(r recordings.Reading) (string, error) {
		return r.Device, sensors.note(ctx, r.Device)
	})
}

// lastTime returns the readings at the end of the batch that have one time.
func lastTime(batch []recordings.Reading) []recordings.Reading {
	n := len(batch) - 1
	for n > 0 && batch[n-1].At.Equal(batch[n].At) {
		n--
	}
	return slices.Clone(batch[max(n, len(batch)-maxOverlap):])
}

// sendReadings sends readings with those of the last batch that have the same time as the first. So a second value
// at one time is no correction.
func (in *intake) sendReadings(ctx context.Context, deviceID string, overlap, readings []recordings.Reading) error {
	return halve(readings, func(part []recordings.Reading) error {
		sent := part
		if len(overlap) > 0 && overlap[0].At.Equal(part[0].At) {
			sent = slices.Concat(overlap, part)
		}
		written, err := in.services.Devices.RecordReadings(ctx, deviceID, in.Key, sent)
		if err != nil {
			return err
		}
		overlap = lastTime(part)
		in.countAccepted(len(part), written)
		return nil
	}, func(part []recordings.Reading, reason string) { in.refuse(part[0].Line, len(part), reason) })
}
