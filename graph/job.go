package graph

import (
	"context"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/graph/model"
	"github.com/sluicehq/sluice/internal/ids"
)

func (r queryResolver) Jobs(ctx context.Context, filter *bff.JobFilter, first *int, after *string) (*model.JobConnection, error) {
	request, err := pageRequest(ctx, first, after)
	if err != nil {
		return nil, err
	}
	if filter != nil {
		if err := r.withinLimit(ctx, optionalSlice(filter.DeviceID)...); err != nil {
			return nil, err
		}
	}
	page, err := unlessEmpty(filter, func() (bff.Page[bff.Job], error) { return r.Ports.Jobs.ListJobs(ctx, filter, request) })
	if err != nil {
		return nil, err
	}
	return jobConnection(page, request), nil
}

func jobConnection(page bff.Page[bff.Job], request bff.PageRequest) *model.JobConnection {
	edges, info := connection(page, request, func(cursor string, node *bff.Job) model.JobEdge {
		return model.JobEdge{Cursor: cursor, Node: node}
	})
	return &model.JobConnection{Edges: edges, Nodes: nonNil(page.Items), PageInfo: info, TotalCount: page.Total}
}

func (r mutationResolver) CreateJob(ctx context.Context, input bff.CreateJobInput) (*bff.Job, error) {
	if err := r.checkJobDevice(ctx, input.DeviceID); err != nil {
		return nil, err
	}
	return r.Jobs.CreateJob(ctx, input)
}

func (r mutationResolver) UpdateJob(ctx context.Context, input bff.UpdateJobInput) (*bff.Job, error) {
	if err := checkID("id", ids.Job, input.ID); err != nil {
		return nil, err
	}
	if err := r.checkJobDevice(ctx, input.DeviceID); err != nil {
		return nil, err
	}
	return r.Jobs.UpdateJob(ctx, input)
}

func (r mutationResolver) checkJobDevice(ctx context.Context, id *string) error {
	if id == nil || *id == "" {
		return nil
	}
	if err := checkID("deviceId", ids.Device, *id); err != nil {
		return err
	}
	return r.checkDevices(ctx, []string{*id})
}

func (r mutationResolver) CancelJob(ctx context.Context, id string, expectedVersion *int) (*bff.Job, error) {
	if err := checkID("id", ids.Job, id); err != nil {
		return nil, err
	}
	return r.Jobs.CancelJob(ctx, id, expectedVersion)
}

func (r mutationResolver) RetryJob(ctx context.Context, id string, expectedVersion *int) (*bff.Job, error) {
	if err := checkID("id", ids.Job, id); err != nil {
		return nil, err
	}
	return r.Jobs.RetryJob(ctx, id, expectedVersion)
}

func (r mutationResolver) DeleteJob(ctx context.Context, id string, expectedVersion *int) (*string, error) {
	if err := checkID("id", ids.Job, id); err != nil {
		return nil, err
	}
	if err := r.Jobs.DeleteJob(ctx, id, expectedVersion); err != nil {
		return nil, err
	}
	return &id, nil
}
