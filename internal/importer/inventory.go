package importer

import (
	"context"
	"io"

	"github.com/sluicehq/sluice/recordings"
	"github.com/sluicehq/sluice/recordings/open"
)

func (in *intake) inventory(ctx context.Context, r io.Reader) error {
	source := in.source("inventory")
	to := newBatches(maxDevices, func(ctx context.Context, _ string, devices []recordings.Device) error {
		return halve(devices, func(part []recordings.Device) error {
			_, made, err := in.services.Devices.ImportDevices(ctx, source, part)
			if err != nil {
				return err
			}
			in.Devices += made
			in.took(len(part), made)
			return nil
		}, func(part []recordings.Device, reason string) { in.refuse(part[0].Line, len(part), reason) })
	})
	devices := open.Devices(r, in.file.Name, in.settled.read)
	return pass(ctx, in, devices, to, func(recordings.Device) (string, error) { return "", nil })
}
