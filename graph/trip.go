package graph

import (
	"context"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/graph/model"
	"github.com/sluicehq/sluice/internal/ids"
)

func (r queryResolver) Trips(ctx context.Context, filter *bff.TripFilter, first *int, after *string) (*model.TripConnection, error) {
	request, err := pageRequest(ctx, first, after)
	if err != nil {
		return nil, err
	}
	if err := r.checkTripFilter(ctx, filter); err != nil {
		return nil, err
	}
	page, err := unlessEmpty(filter, func() (bff.Page[bff.Trip], error) { return r.Ports.Trips.ListTrips(ctx, filter, request) })
	if err != nil {
		return nil, err
	}
	edges, info := connection(page, request, func(cursor string, node *bff.Trip) model.TripEdge {
		return model.TripEdge{Cursor: cursor, Node: node}
	})
	return &model.TripConnection{Edges: edges, Nodes: page.Items, PageInfo: info, TotalCount: page.Total}, nil
}

// checkTripFilter refuses ids of other kinds, and vehicles that the caller cannot see.
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
