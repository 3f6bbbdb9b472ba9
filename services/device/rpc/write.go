package rpc

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/assembly"
	"github.com/sluicehq/sluice/services/device/telemetry"
	devicev1 "github.com/sluicehq/sluice/services/gen/device/v1"
	typesv1 "github.com/sluicehq/sluice/services/gen/types/v1"
	types "github.com/sluicehq/sluice/services/types/rpc"
)

// Encoding: the service's types to messages.

// Encoding encodes the payloads of events as messages of sluice.device.v1.
func Encoding() assembly.Encoding {
	return assembly.Encoding{Device: encodeDevice, Command: encodeCommand, LogLine: encodeLine}
}

func encodeDevice(d device.Device) ([]byte, error) {
	m := message(d)
	m.Riders = nil // they are not for subscribers, and no change of the device
	if a := d.Audience; a != nil {
		m.Audience = &devicev1.Audience{Staff: a.Staff, AccountId: a.Account, ExcludedAccountIds: a.Excluded}
	}
	encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("write device %s: %w", d.ID, err)
	}
	return encoded, nil
}

func message(d device.Device) *devicev1.Device {
	return &devicev1.Device{
		Id: d.ID, Name: d.Name, Kind: kindMessage(d.Kind), Labels: d.Labels, Version: d.Version,
		Presence: devicev1.Presence(devicev1.Presence_value["PRESENCE_"+string(d.Presence)]), LastSeenAt: types.Timestamp(d.LastSeenAt), Position: positionMessage(d.Position),
		CreatedAt: timestamppb.New(d.CreatedAt), UpdatedAt: timestamppb.New(d.UpdatedAt), Deleted: d.Deleted,
		BoardJson: d.Board, Firmware: d.Firmware,
		LockState: lockMessage(d.Lock), Riders: d.Riders(),
	}
}

func kindMessage(kind device.Kind) devicev1.Kind {
	return devicev1.Kind(devicev1.Kind_value["KIND_"+string(kind)])
}

func positionMessage(p *device.Position) *typesv1.Position {
	if p == nil {
		return nil
	}
	return &typesv1.Position{Latitude: p.Latitude, Longitude: p.Longitude, At: types.Timestamp(p.At), Accuracy: p.Accuracy, Place: p.Place}
}

func eventMessage(e device.Event) *devicev1.DeviceEvent {
	return &devicev1.DeviceEvent{
		Id: e.ID, DeviceId: e.DeviceID, At: timestamppb.New(e.At), Type: string(e.Type),
		Message: e.Message, Actor: e.Actor, DataJson: e.Data,
	}
}

func seriesMessage(s telemetry.Series) *devicev1.DeviceSeries {
	return &devicev1.DeviceSeries{DeviceId: s.DeviceID, Key: s.Key, Points: types.Each(s.Points, pointMessage)}
}

func pointMessage(p telemetry.Point) *devicev1.Point {
	return &devicev1.Point{At: timestamppb.New(p.At), Value: p.Value, ArrivedAt: types.Timestamp(p.ArrivedAt)}
}
