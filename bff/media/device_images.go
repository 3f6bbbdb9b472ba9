package media

import (
	"context"

	"github.com/sluicehq/sluice/bff"
)

// devices is the port with places for images, and addresses of those that were taken.
type devices struct {
	bff.Devices
	images *Images
}

// Devices lets the port's cameras take images.
func Devices(port bff.Devices, images *Images) bff.Devices {
	return devices{Devices: port, images: images}
}

// TakeSnapshot says where the image goes.
func (d devices) TakeSnapshot(ctx context.Context, deviceID string, _ bff.JSON) (*bff.Command, error) {
	upload, err := d.images.place(ctx, deviceID)
	if err != nil {
		return nil, err
	}
	return d.Devices.TakeSnapshot(ctx, deviceID, upload)
}

// GetCommands tells where the images are.
func (d devices) GetCommands(ctx context.Context, ids []string) ([]*bff.Command, error) {
	found, err := d.Devices.GetCommands(ctx, ids)
	if err != nil {
		return nil, err
	}
	return found, d.addressed(ctx, found)
}

// ListDeviceCommands tells where the images are.
func (d devices) ListDeviceCommands(ctx context.Context, deviceIDs []string, request bff.PageRequest) (map[string]bff.Page[bff.Command], error) {
	pages, err := d.Devices.ListDeviceCommands(ctx, deviceIDs, request)
	if err != nil {
		return nil, err
	}
	for _, page := range pages {
		if err := d.addressed(ctx, page.Items); err != nil {
			return nil, err
		}
	}
	return pages, nil
}

func (d devices) addressed(ctx context.Context, commands []*bff.Command) error {
	for _, c := range commands {
		address, err := d.images.address(ctx, c)
		if err != nil {
			return err
		}
		if address != "" {
			c.ImageURL = &address
		}
	}
	return nil
}
