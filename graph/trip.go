package graph

import (
	"context"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/graph/model"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/loaders"
)

// defaultTrackPoints is how many points a track has when the query does not say.
const defaultTrackPoints = 500

func (r queryResolver) Trip(ctx context.Context, id string) (*bff.Trip, error) {
	if err := checkID("id", ids.Trip, id); err != nil {
		return nil, err
	}
	return loaders.FromContext(ctx).Trip.Load(ctx, id)
}

func (r queryResolver) Trips(ctx context.Context, filter *bff.TripFilter, first *int, after *string) (*model.TripConnection, error) {
	request, err := pageRequest(ctx, first, after)
	if err != nil {
		return nil, err
	}
	if err := r.checkTripFilter(ctx, filter); err != nil {
		return nil, err
	}
	page, err := r.Ports.Trips.ListTrips(ctx, filter, request)
	if err != nil {
		return nil, err
	}
	edges, info := connection(page, request, func(cursor string, node *bff.Trip) model.TripEdge {
		return model.TripEdge{Cursor: cursor, Node: node}
	})
	return &model.TripConnection{Edges: edges, Nodes: page.Items, PageInfo: info, TotalCount: page.Total}, nil
}

// checkTripFilter refuses ids that can match nothing.
func (r queryResolver) checkTripFilter(ctx context.Context, filter *bff.TripFilter) error {
	if filter == nil {
		return nil
	}
	for _, id := range filter.AccountIds {
		if err := checkID("accountIds", ids.Account, id); err != nil {
			return err
		}
	}
	for _, id := range filter.VehicleIds {
		if err := checkID("vehicleIds", ids.Device, id); err != nil {
			return err
		}
	}
	return r.withinLimit(ctx, filter.VehicleIds...)
}

func (r mutationResolver) StartTrip(ctx context.Context, input bff.StartTripInput) (*bff.Trip, error) {
	if err := checkID("vehicleId", ids.Device, input.VehicleID); err != nil {
		return nil, err
	}
	return r.Trips.StartTrip(ctx, input)
}

func (r mutationResolver) ReportPosition(ctx context.Context, tripID string, position bff.PositionInput) (*bff.Trip, error) {
	if err := checkID("tripId", ids.Trip, tripID); err != nil {
		return nil, err
	}
	return r.Trips.ReportPosition(ctx, tripID, position)
}

func (r mutationResolver) EndTrip(ctx context.Context, tripID string, position *bff.PositionInput, expectedVersion *int) (*bff.Trip, error) {
	if err := checkID("tripId", ids.Trip, tripID); err != nil {
		return nil, err
	}
	return r.Trips.EndTrip(ctx, tripID, position, expectedVersion)
}

func (tripResolver) Account(ctx context.Context, trip *bff.Trip) (*bff.Account, error) {
	return reference(ctx, loaders.FromContext(ctx).Account.Load, trip.AccountID)
}

func (tripResolver) Vehicle(ctx context.Context, trip *bff.Trip) (*bff.Device, error) {
	return reference(ctx, loaders.FromContext(ctx).Device.Load, trip.VehicleID)
}

func (tripResolver) Track(ctx context.Context, trip *bff.Trip, maxPoints *int) ([]*bff.Position, error) {
	points, err := trackPoints(maxPoints)
	if err != nil {
		return nil, err
	}
	track, err := loaders.FromContext(ctx).Track.Load(ctx, loaders.TrackKey{TripID: trip.ID, MaxPoints: points})
	return nonNil(track), err
}

// trackPoints reads the argument of track.
func trackPoints(maxPoints *int) (int, error) {
	points := defaultTrackPoints
	if maxPoints != nil {
		points = *maxPoints
	}
	if points < 2 || points > 10000 {
		return 0, errs.Invalid("maxPoints", "must be between 2 and 10,000")
	}
	return points, nil
}
