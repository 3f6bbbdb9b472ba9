// Package clients calls the services that the trip service depends on: the device service, for vehicles. It
// translates contracts to types of package trip. Errors of the called service are returned unchanged.
package clients

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
	types "github.com/sluicehq/sluice/services/types/rpc"
)

type vehicles struct {
	devices  devicev1.DevicesClient
	commands devicev1.CommandsClient
	rides    devicev1.RidesClient
}

// NewVehicles returns the vehicles of the device service behind conn. The caller in the context needs device:read,
// and must be the system to lock, unlock and store rides.
func NewVehicles(conn grpc.ClientConnInterface) trip.Vehicles {
	return vehicles{devices: devicev1.NewDevicesClient(conn), commands: devicev1.NewCommandsClient(conn), rides: devicev1.NewRidesClient(conn)}
}

// kindLabel is the label with the kind of the vehicle.
const kindLabel = "vehicle"

// CheckRentable implements trip.Vehicles.
func (v vehicles) CheckRentable(ctx context.Context, vehicleID string) (trip.Vehicle, error) {
	device, err := v.find(ctx, vehicleID)
	switch {
	case err != nil:
		return trip.Vehicle{}, err
	case device == nil:
		return trip.Vehicle{}, errs.Missing("vehicle", vehicleID)
	case device.GetKind() != devicev1.Kind_KIND_VEHICLE:
		return trip.Vehicle{}, trip.NotAVehicle(vehicleID)
	}
	rented := trip.Vehicle{Kind: device.GetLabels()[kindLabel]}
	switch device.GetLockState() {
	case devicev1.LockState_LOCK_STATE_UNSPECIFIED:
		return rented, nil
	case devicev1.LockState_LOCK_STATE_LOCKED:
		rented.Opens = true
		return rented, nil
	}
	return trip.Vehicle{}, trip.VehicleNotReady()
}

// Kind implements trip.Vehicles. The kind is a label of the device.
func (v vehicles) Kind(ctx context.Context, vehicleID string) (string, error) {
	device, err := v.find(ctx, vehicleID)
	return device.GetLabels()[kindLabel], err
}

// PutRide stores a ride in the device service: see trip.Vehicles.
func (v vehicles) PutRide(ctx context.Context, ride trip.VehicleRide) (string, error) {
	reply, err := v.rides.PutRide(ctx, &devicev1.PutRideRequest{
		VehicleId: ride.VehicleID, RideId: ride.TripID, AccountId: ride.AccountID,
		StartedAt: timestamppb.New(ride.StartedAt), EndedAt: types.Timestamp(ride.EndedAt), Cancelled: ride.Cancelled,
	})
	return reply.GetOpenRideId(), err
}

// find returns the device, or nil if the caller sees no such device.
func (v vehicles) find(ctx context.Context, id string) (*devicev1.Device, error) {
	reply, err := v.devices.BatchGetDevices(ctx, &devicev1.BatchGetDevicesRequest{Ids: []string{id}})
	for _, device := range reply.GetDevices() {
		if device.GetId() == id {
			return device, err
		}
	}
	return nil, err
}

// Unlock implements trip.Vehicles.
func (v vehicles) Unlock(ctx context.Context, vehicleID, tripID string, deadline time.Time) (trip.Opening, error) {
	command, err := v.commands.UnlockVehicle(ctx, &devicev1.UnlockVehicleRequest{
		VehicleId: vehicleID, Reference: tripID, Deadline: timestamppb.New(deadline),
	})
	if err != nil {
		return trip.Opening{}, err
	}
	return opening(command), nil
}

// Lock implements trip.Vehicles.
func (v vehicles) Lock(ctx context.Context, vehicleID, tripID string) error {
	_, err := v.commands.LockVehicle(ctx, &devicev1.LockVehicleRequest{VehicleId: vehicleID, Reference: tripID})
	return err
}

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

// DecodeOpening decodes the event of a command; ok is false unless it unlocks a vehicle for a trip.
func DecodeOpening(data []byte) (o trip.Opening, ok bool, err error) {
	var c devicev1.Command
	if err := proto.Unmarshal(data, &c); err != nil {
		return trip.Opening{}, false, fmt.Errorf("decode a command: %w", err)
	}
	return opening(&c), c.GetName() == "unlock" && c.GetReference() != "", nil
}

// DecodePosition decodes the event of a device position; it returns false for a device that is no vehicle.
func DecodePosition(data []byte) (vehicleID string, at trip.Position, ok bool, err error) {
	var d devicev1.Device
	if err := proto.Unmarshal(data, &d); err != nil {
		return "", trip.Position{}, false, fmt.Errorf("decode a device: %w", err)
	}
	p := d.GetPosition()
	if d.GetKind() != devicev1.Kind_KIND_VEHICLE || p == nil {
		return "", trip.Position{}, false, nil
	}
	at = trip.Position{
		Latitude: p.GetLatitude(), Longitude: p.GetLongitude(), Accuracy: p.Accuracy,
		Place: p.GetPlace(), StartsSegment: p.GetStartsSegment(),
	}
	observed, err := types.OptionalTime("position.at", p.GetAt())
	if err != nil {
		return "", trip.Position{}, false, err
	}
	if observed != nil {
		at.At = *observed
	}
	return d.GetId(), at, true, nil
}
