package media

import (
	"context"

	"github.com/sluicehq/sluice/bff"
)

// devices adds signed URLs for the upload and the download of images.
type devices struct {
	bff.Devices
	images *Images
}

// Devices returns a port whose snapshots upload to images.
func Devices(port bff.Devices, images *Images) bff.Devices {
	return devices{Devices: port, images: images}
}

// TakeSnapshot adds the signed upload URL to the command.
func (d devices) TakeSnapshot(ctx context.Context, deviceID string, _ *bff.SnapshotUpload) (*bff.Command, error) {
	upload, err := d.images.newUpload(ctx, deviceID)
	if err != nil {
		return nil, err
	}
	return d.Devices.TakeSnapshot(ctx, deviceID, upload)
}

// GetCommands adds the URLs of images.
func (d devices) GetCommands(ctx context.Context, ids []string) ([]*bff.Command, error) {
	found, err := d.Devices.GetCommands(ctx, ids)
	if err != nil {
		return nil, err
	}
	return found, d.addImageURLs(ctx, found)
}

// ListDeviceCommands adds the URLs of images.
func (d devices) ListDeviceCommands(ctx context.Context, deviceIDs []string, request bff.PageRequest) (map[string]bff.Page[bff.Command], error) {
	pages, err := d.Devices.ListDeviceCommands(ctx, deviceIDs, request)
	if err != nil {
		return nil, err
	}
	for _, page := range pages {
		if err := d.addImageURLs(ctx, page.Items); err != nil {
			return nil, err
		}
	}
	return pages, nil
}

func (d devices) addImageURLs(ctx context.Context, commands []*bff.Command) error {
	for _, c := range commands {
		address, err := d.images.downloadURL(ctx, c)
		if err != nil {
			return err
		}
		if address != "" {
			c.ImageURL = &address
		}
	}
	return nil
}
