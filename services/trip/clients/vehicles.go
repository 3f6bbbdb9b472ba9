package rpc

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/internal/errs"
	devicev1 "github.com/sluicehq/sluice/services/gen/device/v1"
	"github.com/sluicehq/sluice/services/trip"
)

// vehicles asks the device service.
type vehicles struct {
	devices  devicev1.DevicesClient
	commands devicev1.CommandsClient
}

// NewVehicles gives the vehicles that the device service behind conn knows. It is asked on behalf
// of the caller in the context, who needs device:read, and who must be the system to open and lock
// them; its errors come back as they are.
func NewVehicles(conn grpc.ClientConnInterface) trip.Vehicles {
	return vehicles{devices: devicev1.NewDevicesClient(conn), commands: devicev1.NewCommandsClient(conn)}
}

// Rentable refuses what no trip can start on: see trip.Vehicles.
func (v vehicles) Rentable(ctx context.Context, vehicleID string) (opens bool, err error) {
	reply, err := v.devices.BatchGetDevices(ctx, &devicev1.BatchGetDevicesRequest{Ids: []string{vehicleID}})
	if err != nil {
		return false, err
	}
	for _, device := range reply.GetDevices() {
		if device.GetId() != vehicleID {
			continue
		}
		if device.GetKind() != devicev1.Kind_KIND_VEHICLE {
			return false, trip.NotAVehicle(vehicleID)
		}
		switch device.GetLockState() {
		case devicev1.LockState_LOCK_STATE_UNSPECIFIED:
			return false, nil
		case devicev1.LockState_LOCK_STATE_LOCKED:
			return true, nil
		}
		return true, trip.VehicleNotReady()
	}
	return false, errs.Missing("vehicle", vehicleID)
}

// Unlock has a vehicle open for a trip: see trip.Vehicles.
func (v vehicles) Unlock(ctx context.Context, vehicleID, tripID string, deadline time.Time) (trip.Opening, error) {
	command, err := v.commands.UnlockVehicle(ctx, &devicev1.UnlockVehicleRequest{
		VehicleId: vehicleID, Reference: tripID, Deadline: timestamppb.New(deadline),
	})
	if err != nil {
		return trip.Opening{}, err
	}
	return opening(command), nil
}

// Lock has a vehicle locked after a trip: see trip.Vehicles.
func (v vehicles) Lock(ctx context.Context, vehicleID, tripID string) error {
	_, err := v.commands.LockVehicle(ctx, &devicev1.LockVehicleRequest{VehicleId: vehicleID, Reference: tripID})
	return err
}

// opening reads what the command to unlock tells of the opening for its trip.
func opening(c *devicev1.Command) trip.Opening {
	o := trip.Opening{TripID: c.GetReference(), Reason: c.GetReason()}
	if c.GetFinishedAt() == nil {
		return o
	}
	o.Done, o.At = true, c.GetFinishedAt().AsTime()
	o.Open = c.GetStatus() == devicev1.CommandStatus_COMMAND_STATUS_SUCCEEDED
	if !o.Open && o.Reason == "" {
		o.Reason = "COMMAND_CANCELLED"
	}
	return o
}

// DecodeOpening reads the event of a command. ok is false when it opens no vehicle for a trip.
func DecodeOpening(data []byte) (o trip.Opening, ok bool, err error) {
	var c devicev1.Command
	if err := proto.Unmarshal(data, &c); err != nil {
		return trip.Opening{}, false, fmt.Errorf("read a command: %w", err)
	}
	return opening(&c), c.GetName() == "unlock" && c.GetReference() != "", nil
}

// DecodePosition reads the event of a device that was somewhere. ok is false for what is no vehicle.
func DecodePosition(data []byte) (vehicleID string, at trip.Position, ok bool, err error) {
	var d devicev1.Device
	if err := proto.Unmarshal(data, &d); err != nil {
		return "", trip.Position{}, false, fmt.Errorf("read a device: %w", err)
	}
	if d.GetKind() != devicev1.Kind_KIND_VEHICLE || d.GetPosition() == nil {
		return "", trip.Position{}, false, nil
	}
	at, err = position("position", d.GetPosition())
	return d.GetId(), at, err == nil, err
}
