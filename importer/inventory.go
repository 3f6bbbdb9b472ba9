package importer

import (
	"context"
	"fmt"
	"io"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/recordings"
	"github.com/sluicehq/sluice/recordings/open"
)

func (in *intake) inventory(ctx context.Context, r io.Reader) error {
	source := in.source("inventory")
	to := newBatches(maxDevices, func(ctx context.Context, _ string, devices []recordings.Device) error {
		return halveIf(devices, func(part []recordings.Device) error {
			all, created, err := in.services.Devices.ImportDevices(ctx, source, part, in.Secrets != nil)
			if err != nil {
				return err
			}
			if err := in.deliverSecrets(part, all); err != nil {
				return err
			}
			in.Devices += created
			in.countAccepted(len(part), Written{Stored: created})
			return nil
		}, func(part []recordings.Device, reason string) { in.refuse(part[0].Line, len(part), reason) },
			func(*errs.Error) bool { return true }) // each refusal is about one device
	})
	devices := open.Devices(r, in.file.Name, in.settled.read)
	return pass(ctx, in, devices, to, func(recordings.Device) (string, error) { return "", nil })
}

func (in *intake) deliverSecrets(devices []recordings.Device, all []Imported) error {
	for i, d := range all {
		if d.Secret == "" {
			continue
		}
		if err := in.Secrets(devices[i], d.ID, d.Secret); err != nil {
			return fmt.Errorf("store the secret of %s: %w", d.ID, err)
		}
	}
	return nil
}
