package rpc

import (
	"context"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/importer"
	"github.com/sluicehq/sluice/recordings"
	devicev1 "github.com/sluicehq/sluice/services/gen/device/v1"
	typesv1 "github.com/sluicehq/sluice/services/gen/types/v1"
)

type devices struct{ client devicev1.DevicesClient }

const kindPrefix = "KIND_"

func (d devices) EnsureDevices(ctx context.Context, source string, all []recordings.Device) (ids []string, made int64, err error) {
	reply, err := d.importAll(ctx, &devicev1.ImportDevicesRequest{Source: source, KeepKnown: true}, all)
	if err != nil {
		return nil, 0, err
	}
	for _, device := range reply.GetDevices() {
		ids = append(ids, device.GetId())
	}
	return ids, reply.GetCreated(), nil
}

func (d devices) ImportDevices(ctx context.Context, source string, all []recordings.Device, secrets bool) (found []importer.Imported, made int64, err error) {
	reply, err := d.importAll(ctx, &devicev1.ImportDevicesRequest{Source: source, IssueSecrets: secrets}, all)
	if err != nil {
		return nil, 0, err
	}
	for i, device := range reply.GetDevices() {
		one := importer.Imported{ID: device.GetId()}
		if toActivity := reply.GetSecrets(); i < len(toActivity) {
			one.Secret = toActivity[i]
		}
		found = append(found, one)
	}
	return found, reply.GetCreated(), nil
}

func (d devices) importAll(ctx context.Context, request *devicev1.ImportDevicesRequest, all []recordings.Device) (*devicev1.ImportDevicesResponse, error) {
	request.Devices = make([]*devicev1.ImportedDevice, len(all))
	for i, device := range all {
		request.Devices[i] = toDevice(device)
	}
	return d.client.ImportDevices(ctx, request)
}

func toDevice(d recordings.Device) *devicev1.ImportedDevice {
	m := &devicev1.ImportedDevice{
		ExternalId: d.Key, Name: d.Name, Labels: d.Labels,
		Kind: devicev1.Kind(devicev1.Kind_value[kindPrefix+d.Kind]),
	}
	if d.Latitude != nil && d.Longitude != nil {
		m.Position = &typesv1.Position{Latitude: *d.Latitude, Longitude: *d.Longitude}
	}
	return m
}

func (d devices) KindOf(ctx context.Context, id string) (string, error) {
	reply, err := d.client.BatchGetDevices(ctx, &devicev1.BatchGetDevicesRequest{Ids: []string{id}})
	if err != nil || len(reply.GetDevices()) == 0 {
		return "", err
	}
	return strings.TrimPrefix(reply.GetDevices()[0].GetKind().String(), kindPrefix), nil
}

func (d devices) RecordReadings(ctx context.Context, deviceID, key string, readings []recordings.Reading) (importer.Written, error) {
	request := &devicev1.RecordReadingsRequest{DeviceId: deviceID, Correct: true, Readings: make([]*devicev1.Reading, len(readings))}
	for i, r := range readings {
		request.Readings[i] = &devicev1.Reading{Key: key, At: timestamppb.New(r.At), Value: r.Value}
	}
	reply, err := d.client.RecordReadings(ctx, request)
	return importer.Written{Stored: reply.GetStored(), Updated: reply.GetUpdated()}, err
}
