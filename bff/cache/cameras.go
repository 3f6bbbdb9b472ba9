package cache

import (
	"context"

	"github.com/sluicehq/sluice/bff"
)

// Streams and the audit log are not cached. A camera command adds an event to its device.

func (d devices) StartStream(ctx context.Context, input bff.StreamInput) (*bff.StreamSession, error) {
	return write(ctx, d.cache, "Devices.StartStream", []string{input.DeviceID}, func(ctx context.Context) (*bff.StreamSession, error) {
		return d.Devices.StartStream(ctx, input)
	})
}

func (d devices) StopStream(ctx context.Context, deviceID string, viewer *string) (*bff.StreamSession, error) {
	return write(ctx, d.cache, "Devices.StopStream", []string{deviceID}, func(ctx context.Context) (*bff.StreamSession, error) {
		return d.Devices.StopStream(ctx, deviceID, viewer)
	})
}

func (d devices) MoveCamera(ctx context.Context, input bff.MoveCameraInput) (*bff.Command, error) {
	return write(ctx, d.cache, "Devices.MoveCamera", []string{input.DeviceID}, func(ctx context.Context) (*bff.Command, error) {
		return d.Devices.MoveCamera(ctx, input)
	})
}

func (d devices) TakeSnapshot(ctx context.Context, deviceID string, upload *bff.SnapshotUpload) (*bff.Command, error) {
	return write(ctx, d.cache, "Devices.TakeSnapshot", []string{deviceID}, func(ctx context.Context) (*bff.Command, error) {
		return d.Devices.TakeSnapshot(ctx, deviceID, upload)
	})
}

func (d devices) GetStreams(ctx context.Context, deviceIDs []string) (map[string]*bff.StreamSession, error) {
	bff.ReadsOf(ctx).NoteUncacheable("Devices.GetStreams")
	return d.Devices.GetStreams(ctx, deviceIDs)
}

func (d devices) ListDeviceCalls(ctx context.Context, filter *bff.DeviceCallFilter, page bff.PageRequest) (bff.Page[bff.DeviceCall], error) {
	bff.ReadsOf(ctx).NoteUncacheable("Devices.ListDeviceCalls")
	return d.Devices.ListDeviceCalls(ctx, filter, page)
}
