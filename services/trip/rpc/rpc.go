// Package rpc is the gRPC server of the trip service (services/proto/trip/v1). A message that cannot be decoded is
// INVALID_ARGUMENT; every other error is returned unchanged.
package rpc

import (
	"context"

	"google.golang.org/grpc"

	tripv1 "github.com/sluicehq/sluice/services/gen/trip/v1"
	"github.com/sluicehq/sluice/services/trip"
	types "github.com/sluicehq/sluice/services/types/rpc"
)

// Register registers the service as sluice.trip.v1.Trips.
func Register(r grpc.ServiceRegistrar, s *trip.Service) {
	tripv1.RegisterTripsServer(r, server{service: s})
}

type server struct {
	tripv1.UnimplementedTripsServer
	service *trip.Service
}

func (s server) StartTrip(ctx context.Context, r *tripv1.StartTripRequest) (*tripv1.Trip, error) {
	at, err := position("position", r.GetPosition())
	if err != nil {
		return nil, err
	}
	return answer(s.service.Start(ctx, trip.StartInput{
		VehicleID: r.GetVehicleId(), Position: at, IdempotencyKey: r.GetIdempotencyKey(),
	}))
}

func (s server) ReportPosition(ctx context.Context, r *tripv1.ReportPositionRequest) (*tripv1.Trip, error) {
	at, err := position("position", r.GetPosition())
	if err != nil {
		return nil, err
	}
	return answer(s.service.ReportPosition(ctx, r.GetTripId(), at))
}

func (s server) EndTrip(ctx context.Context, r *tripv1.EndTripRequest) (*tripv1.Trip, error) {
	in := trip.EndInput{TripID: r.GetTripId(), ExpectedVersion: r.ExpectedVersion}
	if r.GetPosition() != nil {
		at, err := position("position", r.GetPosition())
		if err != nil {
			return nil, err
		}
		in.Position = &at
	}
	return answer(s.service.End(ctx, in))
}

func (s server) BatchGetTrips(ctx context.Context, r *tripv1.BatchGetTripsRequest) (*tripv1.BatchGetTripsResponse, error) {
	trips, err := s.service.BatchGet(ctx, r.GetIds())
	if err != nil {
		return nil, err
	}
	return &tripv1.BatchGetTripsResponse{Trips: types.Each(trips, message)}, nil
}

func (s server) ListTrips(ctx context.Context, r *tripv1.ListTripsRequest) (*tripv1.ListTripsResponse, error) {
	filter, err := filter(r.GetFilter())
	if err != nil {
		return nil, err
	}
	trips, err := s.service.List(ctx, filter, types.PageRequest(r.GetPage()))
	if err != nil {
		return nil, err
	}
	return &tripv1.ListTripsResponse{Trips: types.Each(trips.Items, message), Page: types.PageInfo(trips)}, nil
}

func (s server) BatchGetOpenTrips(ctx context.Context, r *tripv1.BatchGetOpenTripsRequest) (*tripv1.BatchGetOpenTripsResponse, error) {
	trips, err := s.service.BatchGetOpen(ctx, r.GetVehicleIds(), r.GetAccountIds())
	if err != nil {
		return nil, err
	}
	return &tripv1.BatchGetOpenTripsResponse{Trips: types.Each(trips, message)}, nil
}

func (s server) BatchGetTracks(ctx context.Context, r *tripv1.BatchGetTracksRequest) (*tripv1.BatchGetTracksResponse, error) {
	tracks, err := s.service.BatchGetTracks(ctx, r.GetTripIds(), int(r.GetMaxPoints()))
	if err != nil {
		return nil, err
	}
	reply := &tripv1.BatchGetTracksResponse{}
	for _, track := range tracks {
		reply.Tracks = append(reply.Tracks, trackMessage(track))
	}
	return reply, nil
}

func (s server) ImportFixes(ctx context.Context, r *tripv1.ImportFixesRequest) (*tripv1.ImportFixesResponse, error) {
	fixes, err := positions("fixes", r.GetFixes())
	if err != nil {
		return nil, err
	}
	done, err := s.service.ImportFixes(ctx, trip.FixesInput{
		Recording:  trip.Recording{Source: r.GetSource(), AccountID: r.GetAccountId(), VehicleID: r.GetVehicleId()},
		ExternalID: r.GetExternalId(),
		Fixes:      fixes,
	})
	if err != nil {
		return nil, err
	}
	reply := &tripv1.ImportFixesResponse{Trip: message(done.Trip), Created: done.Created, Stored: done.Stored, Rejected: map[string]int64{}}
	for why, n := range done.Rejected {
		reply.Rejected[string(why)] = n
	}
	return reply, nil
}

func (s server) ImportRides(ctx context.Context, r *tripv1.ImportRidesRequest) (*tripv1.ImportRidesResponse, error) {
	counts, faults, err := s.service.ImportRides(ctx, trip.RidesInput{
		Recording: trip.Recording{Source: r.GetSource(), AccountID: r.GetAccountId(), VehicleID: r.GetVehicleId()},
		Rides:     rides(r.GetRides()),
	})
	if err != nil {
		return nil, err
	}
	reply := &tripv1.ImportRidesResponse{Stored: counts.Stored, Updated: counts.Updated}
	for _, fault := range faults {
		reply.Faults = append(reply.Faults, &tripv1.Fault{ExternalId: fault.ExternalID, Reason: fault.Reason})
	}
	return reply, nil
}

func answer(t trip.Trip, err error) (*tripv1.Trip, error) {
	if err != nil {
		return nil, err
	}
	return message(t), nil
}
