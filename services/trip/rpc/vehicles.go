package rpc

import (
	"context"

	"google.golang.org/grpc"

	"github.com/sluicehq/sluice/internal/errs"
	devicev1 "github.com/sluicehq/sluice/services/gen/device/v1"
	"github.com/sluicehq/sluice/services/trip"
)

// vehicles asks the device service.
type vehicles struct {
	devices devicev1.DevicesClient
}

// NewVehicles gives the vehicles that the device service behind conn knows. It is asked on behalf
// of the caller in the context, who needs device:read; its errors come back as they are.
func NewVehicles(conn grpc.ClientConnInterface) trip.Vehicles {
	return vehicles{devices: devicev1.NewDevicesClient(conn)}
}

// Rentable refuses what no trip can start on: see trip.Vehicles.
func (v vehicles) Rentable(ctx context.Context, vehicleID string) error {
	reply, err := v.devices.BatchGetDevices(ctx, &devicev1.BatchGetDevicesRequest{Ids: []string{vehicleID}})
	if err != nil {
		return err
	}
	for _, device := range reply.GetDevices() {
		if device.GetId() != vehicleID {
			continue
		}
		if device.GetKind() != devicev1.Kind_KIND_VEHICLE {
			return trip.NotAVehicle(vehicleID)
		}
		return nil
	}
	return errs.Missing("vehicle", vehicleID)
}
