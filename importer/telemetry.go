package importer

import (
	"context"
	"io"

	"github.com/sluicehq/sluice/recordings"
	"github.com/sluicehq/sluice/recordings/open"
)

const maxReadings = 5_000 // per call

func (in *intake) telemetry(ctx context.Context, r io.Reader) error {
	sensors := in.newRoster(in.source("telemetry"), recordings.KindSensor)
	to := newBatches(maxReadings, func(ctx context.Context, sensor string, part []recordings.Reading) error {
		id, reason, err := sensors.id(ctx, sensor)
		if err != nil {
			return err
		}
		if reason != "" {
			in.refuse(part[0].Line, len(part), reason)
			return nil
		}
		return in.sendReadings(ctx, id, part)
	})
	readings := open.Telemetry(r, in.file.Name, in.settled.read)
	return pass(ctx, in, readings, to, func(r recordings.Reading) (string, error) {
		return r.Device, sensors.note(ctx, r.Device)
	})
}

func (in *intake) sendReadings(ctx context.Context, deviceID string, readings []recordings.Reading) error {
	return halve(readings, func(part []recordings.Reading) error {
		stored, err := in.services.Devices.RecordReadings(ctx, deviceID, in.Key, part)
		if err != nil {
			return err
		}
		in.countAccepted(len(part), stored)
		return nil
	}, func(part []recordings.Reading, reason string) { in.refuse(part[0].Line, len(part), reason) })
}
