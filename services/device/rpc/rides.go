package rpc

import (
	"context"

	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/vehicle"
	devicev1 "github.com/sluicehq/sluice/services/gen/device/v1"
	types "github.com/sluicehq/sluice/services/types/rpc"
)

type rides struct {
	devicev1.UnimplementedRidesServer
	vehicles *vehicle.Service
}

func (s rides) PutRide(ctx context.Context, in *devicev1.PutRideRequest) (*devicev1.PutRideResponse, error) {
	started, err := types.Time("startedAt", in.GetStartedAt())
	if err != nil {
		return nil, err
	}
	ended, err := types.OptionalTime("endedAt", in.GetEndedAt())
	if err != nil {
		return nil, err
	}
	openID, err := s.vehicles.PutRide(ctx, device.Ride{
		ID: in.GetRideId(), VehicleID: in.GetVehicleId(), AccountID: in.GetAccountId(),
		StartedAt: started, EndedAt: ended, Cancelled: in.GetCancelled(),
	})
	if err != nil {
		return nil, err
	}
	return &devicev1.PutRideResponse{OpenRideId: openID}, nil
}
