package rpc

import (
	"context"

	"google.golang.org/grpc"

	"github.com/sluicehq/sluice/bff"
	tripv1 "github.com/sluicehq/sluice/services/gen/trip/v1"
	typesv1 "github.com/sluicehq/sluice/services/gen/types/v1"
)

// Trips calls the trip service. It implements bff.Trips.
type Trips struct{ client tripv1.TripsClient }

var _ bff.Trips = Trips{}

// NewTrips returns the port over a connection.
func NewTrips(conn grpc.ClientConnInterface) Trips { return Trips{client: tripv1.NewTripsClient(conn)} }

// StartTrip implements bff.Trips.
func (t Trips) StartTrip(ctx context.Context, input bff.StartTripInput) (*bff.Trip, error) {
	return one(trip)(t.client.StartTrip(ctx, &tripv1.StartTripRequest{
		VehicleId: input.VehicleID, Position: positionMessage(input.Position), IdempotencyKey: text(input.IdempotencyKey),
	}))
}

// ReportPosition implements bff.Trips.
func (t Trips) ReportPosition(ctx context.Context, tripID string, at bff.PositionInput) (*bff.Trip, error) {
	return one(trip)(t.client.ReportPosition(ctx, &tripv1.ReportPositionRequest{TripId: tripID, Position: positionMessage(&at)}))
}

// EndTrip implements bff.Trips.
func (t Trips) EndTrip(ctx context.Context, tripID string, at *bff.PositionInput, expectedVersion *int) (*bff.Trip, error) {
	return one(trip)(t.client.EndTrip(ctx, &tripv1.EndTripRequest{
		TripId: tripID, Position: positionMessage(at), ExpectedVersion: version(expectedVersion),
	}))
}

// GetTrips implements bff.Trips.
func (t Trips) GetTrips(ctx context.Context, ids []string) ([]*bff.Trip, error) {
	m, err := t.client.BatchGetTrips(ctx, &tripv1.BatchGetTripsRequest{Ids: ids})
	if err != nil {
		return nil, err
	}
	return each(m.GetTrips(), trip), nil
}

// ListTrips implements bff.Trips.
func (t Trips) ListTrips(ctx context.Context, filter *bff.TripFilter, request bff.PageRequest) (bff.Page[bff.Trip], error) {
	m, err := t.client.ListTrips(ctx, &tripv1.ListTripsRequest{Filter: tripFilter(filter), Page: pageRequest(request)})
	if err != nil {
		return bff.Page[bff.Trip]{}, err
	}
	return page(m.GetTrips(), m.GetPage(), trip), nil
}

// GetOpenTripsByVehicle implements bff.Trips.
func (t Trips) GetOpenTripsByVehicle(ctx context.Context, vehicleIDs []string) (map[string]*bff.Trip, error) {
	m, err := t.client.BatchGetOpenTrips(ctx, &tripv1.BatchGetOpenTripsRequest{VehicleIds: vehicleIDs})
	if err != nil {
		return nil, err
	}
	open := make(map[string]*bff.Trip, len(m.GetTrips()))
	for _, found := range m.GetTrips() {
		open[found.GetVehicleId()] = trip(found)
	}
	return open, nil
}

// GetOpenTripOfAccount implements bff.Trips.
func (t Trips) GetOpenTripOfAccount(ctx context.Context, accountID string) (*bff.Trip, error) {
	m, err := t.client.BatchGetOpenTrips(ctx, &tripv1.BatchGetOpenTripsRequest{AccountIds: []string{accountID}})
	if err != nil || len(m.GetTrips()) == 0 {
		return nil, err
	}
	return trip(m.GetTrips()[0]), nil
}

// GetTracks implements bff.Trips.
func (t Trips) GetTracks(ctx context.Context, tripIDs []string, maxPoints int) (map[string][]*bff.Position, error) {
	m, err := t.client.BatchGetTracks(ctx, &tripv1.BatchGetTracksRequest{TripIds: tripIDs, MaxPoints: *number(&maxPoints)})
	if err != nil {
		return nil, err
	}
	tracks := make(map[string][]*bff.Position, len(m.GetTracks()))
	for _, track := range m.GetTracks() {
		tracks[track.GetTripId()] = each(track.GetPositions(), position)
	}
	return tracks, nil
}

func trip(m *tripv1.Trip) *bff.Trip {
	return &bff.Trip{
		ID: m.GetId(), Status: enum[bff.TripStatus](m.GetStatus().String(), "STATUS_"), Version: int(m.GetVersion()),
		AccountID: m.GetAccountId(), VehicleID: m.GetVehicleId(),
		Start: tripPoint(m.GetStart()), Current: tripPoint(m.GetCurrent()), End: tripPoint(m.GetEnd()),
		Distance:        m.GetDistanceMetres(),
		DistanceSource:  enum[bff.DistanceSource](m.GetDistanceSource().String(), "DISTANCE_SOURCE_"),
		DurationSeconds: int(m.GetDurationSeconds()),
		Fee:             &bff.Money{AmountMinor: int(m.GetFee().GetAmountMinor()), Currency: m.GetFee().GetCurrency()},
		Failure:         optionalText(m.GetFailure()),
	}
}

func tripPoint(m *typesv1.Position) *bff.TripPoint {
	if m == nil {
		return nil
	}
	return &bff.TripPoint{Position: position(m), At: m.GetAt().AsTime()}
}

func tripFilter(f *bff.TripFilter) *tripv1.TripFilter {
	if f == nil {
		return nil
	}
	return &tripv1.TripFilter{
		AccountIds: f.AccountIds, VehicleIds: f.VehicleIds,
		Statuses:    enumValues[tripv1.Status](tripv1.Status_value, "STATUS_", f.Statuses),
		StartedFrom: timestamp(f.StartedFrom), StartedBefore: timestamp(f.StartedBefore),
	}
}
