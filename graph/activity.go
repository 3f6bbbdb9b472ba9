package graph

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/graph/model"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
)

func (r queryResolver) Activities(ctx context.Context, filter *bff.ActivityFilter, first *int, after *string) (*model.ActivityConnection, error) {
	request, err := pageRequest(ctx, first, after)
	if err != nil {
		return nil, err
	}
	if filter != nil {
		if err := r.withinLimit(ctx, optionalSlice(filter.DeviceID)...); err != nil {
			return nil, err
		}
	}
	page, err := unlessEmpty(filter, func() (bff.Page[bff.Activity], error) { return r.Ports.Activities.ListActivities(ctx, filter, request) })
	if err != nil {
		return nil, err
	}
	edges, info := connection(page, request, func(cursor string, node *bff.Activity) model.ActivityEdge {
		return model.ActivityEdge{Cursor: cursor, Node: node}
	})
	return &model.ActivityConnection{Edges: edges, Nodes: page.Items, PageInfo: info, TotalCount: page.Total}, nil
}

func (r queryResolver) Hydration(ctx context.Context, from, to time.Time, timeZone, accountID *string) (*bff.HydrationReport, error) {
	query := bff.HydrationQuery{From: from, To: to, TimeZone: "UTC"}
	if timeZone != nil {
		query.TimeZone = *timeZone
	}
	if accountID != nil {
		query.AccountID = *accountID
	}
	return r.Ports.Activities.ReportHydration(ctx, query)
}

func (r mutationResolver) RecordActivity(ctx context.Context, input bff.RecordActivityInput) (*bff.Activity, error) {
	return r.Activities.RecordActivity(ctx, input)
}

func (r mutationResolver) UpdateActivity(ctx context.Context, input bff.UpdateActivityInput) (*bff.Activity, error) {
	if err := checkID("id", ids.Activity, input.ID); err != nil {
		return nil, err
	}
	if err := r.withinLimit(ctx, optionalSlice(input.DeviceID)...); err != nil {
		return nil, err
	}
	return r.Activities.UpdateActivity(ctx, input)
}

func (r mutationResolver) DeleteActivity(ctx context.Context, id string, expectedVersion *int) (*string, error) {
	if err := checkID("id", ids.Activity, id); err != nil {
		return nil, err
	}
	if err := r.Activities.DeleteActivity(ctx, id, expectedVersion); err != nil {
		return nil, err
	}
	return &id, nil
}

func (r queryResolver) ActivityHistory(ctx context.Context, id string) ([]*bff.ActivityRevision, error) {
	if err := checkID("id", ids.Activity, id); err != nil {
		return nil, err
	}
	return r.Ports.Activities.ListRevisions(ctx, id)
}

// maxDrinkMl is the largest amount of one drink, in millilitres: a larger amount has the wrong unit.
const maxDrinkMl = 10_000

func (r mutationResolver) RecordWater(ctx context.Context, input bff.RecordWaterInput) (*bff.Activity, error) {
	if input.AmountMl < 1 || input.AmountMl > maxDrinkMl {
		return nil, errs.Invalid("amountMl", "must be between 1 and %d", maxDrinkMl)
	}
	amount, unit := float64(input.AmountMl), "ml"
	return r.Activities.RecordActivity(ctx, bff.RecordActivityInput{
		Kind:           bff.Hydration,
		Title:          fmt.Sprintf("Water, %d ml", input.AmountMl),
		StartedAt:      input.At,
		Amount:         &amount,
		Unit:           &unit,
		IdempotencyKey: input.IdempotencyKey,
	})
}
