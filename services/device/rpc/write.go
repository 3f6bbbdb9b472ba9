package rpc

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/internal/page"
	devicev1 "github.com/sluicehq/sluice/services/gen/device/v1"
	typesv1 "github.com/sluicehq/sluice/services/gen/types/v1"

	"github.com/sluicehq/sluice/services/device"
)

// What goes out: the service's types written as messages.

// EncodeDevice is the bytes of a device as sluice.device.v1.Device, the payload of its events.
func EncodeDevice(d device.Device) ([]byte, error) {
	encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(message(d))
	if err != nil {
		return nil, fmt.Errorf("write device %s: %w", d.ID, err)
	}
	return encoded, nil
}

func messages(devices []device.Device) []*devicev1.Device {
	out := make([]*devicev1.Device, len(devices))
	for i, d := range devices {
		out[i] = message(d)
	}
	return out
}

func message(d device.Device) *devicev1.Device {
	return &devicev1.Device{
		Id: d.ID, Name: d.Name, Kind: kindMessage(d.Kind), Labels: d.Labels, Version: d.Version,
		Presence: presenceMessage(d.Presence), LastSeenAt: optionalTime(d.LastSeenAt), Position: positionMessage(d.Position),
		CreatedAt: timestamppb.New(d.CreatedAt), UpdatedAt: timestamppb.New(d.UpdatedAt), Deleted: d.Deleted,
	}
}

func kindMessage(kind device.Kind) devicev1.Kind {
	switch kind {
	case device.Gateway:
		return devicev1.Kind_KIND_GATEWAY
	case device.Camera:
		return devicev1.Kind_KIND_CAMERA
	case device.Sensor:
		return devicev1.Kind_KIND_SENSOR
	case device.Vehicle:
		return devicev1.Kind_KIND_VEHICLE
	}
	return devicev1.Kind_KIND_UNSPECIFIED
}

func presenceMessage(presence device.Presence) devicev1.Presence {
	switch presence {
	case device.Online:
		return devicev1.Presence_PRESENCE_ONLINE
	case device.Offline:
		return devicev1.Presence_PRESENCE_OFFLINE
	case device.Unknown:
		return devicev1.Presence_PRESENCE_UNKNOWN
	}
	return devicev1.Presence_PRESENCE_UNSPECIFIED
}

func optionalTime(at *time.Time) *timestamppb.Timestamp {
	if at == nil {
		return nil
	}
	return timestamppb.New(*at)
}

func positionMessage(p *device.Position) *typesv1.Position {
	if p == nil {
		return nil
	}
	return &typesv1.Position{Latitude: p.Latitude, Longitude: p.Longitude, At: optionalTime(p.At), Accuracy: p.Accuracy, Place: p.Place}
}

func pageInfo[T any](p page.Page[T]) *typesv1.PageInfo {
	return &typesv1.PageInfo{Cursors: p.Cursors, HasNext: p.HasNext, Total: p.Total}
}

func eventMessages(events []device.Event) []*devicev1.DeviceEvent {
	out := make([]*devicev1.DeviceEvent, len(events))
	for i, e := range events {
		out[i] = &devicev1.DeviceEvent{
			Id: e.ID, DeviceId: e.DeviceID, At: timestamppb.New(e.At), Type: string(e.Type),
			Message: e.Message, Actor: e.Actor, DataJson: e.Data,
		}
	}
	return out
}

func seriesMessages(series []device.Series) []*devicev1.DeviceSeries {
	out := make([]*devicev1.DeviceSeries, len(series))
	for i, one := range series {
		points := make([]*devicev1.Point, len(one.Points))
		for j, p := range one.Points {
			points[j] = &devicev1.Point{At: timestamppb.New(p.At), Value: p.Value}
		}
		out[i] = &devicev1.DeviceSeries{DeviceId: one.DeviceID, Key: one.Key, Points: points}
	}
	return out
}
