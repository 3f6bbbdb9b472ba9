package graph

import (
	"context"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/graph/model"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/loaders"
)

func (r queryResolver) Job(ctx context.Context, id string) (*bff.Job, error) {
	if err := checkID("id", ids.Job, id); err != nil {
		return nil, err
	}
	return loaders.FromContext(ctx).Job.Load(ctx, id)
}

func (r queryResolver) Jobs(ctx context.Context, filter *bff.JobFilter, first *int, after *string) (*model.JobConnection, error) {
	request, err := pageRequest(ctx, first, after)
	if err != nil {
		return nil, err
	}
	if filter != nil {
		if err := r.withinLimit(ctx, each(filter.DeviceID)...); err != nil {
			return nil, err
		}
	}
	page, err := r.Ports.Jobs.ListJobs(ctx, filter, request)
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
	if err := checkJobDevice(ctx, input.DeviceID); err != nil {
		return nil, err
	}
	return r.Jobs.CreateJob(ctx, input)
}

func (r mutationResolver) UpdateJob(ctx context.Context, input bff.UpdateJobInput) (*bff.Job, error) {
	if err := checkID("id", ids.Job, input.ID); err != nil {
		return nil, err
	}
	if err := checkJobDevice(ctx, input.DeviceID); err != nil {
		return nil, err
	}
	return r.Jobs.UpdateJob(ctx, input)
}

// checkJobDevice refuses a device that the caller cannot see; the job service does not know devices.
func checkJobDevice(ctx context.Context, id *string) error {
	if id == nil || *id == "" {
		return nil
	}
	if err := checkID("deviceId", ids.Device, *id); err != nil {
		return err
	}
	_, err := loaders.FromContext(ctx).Device.Load(ctx, *id)
	return err
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

func (jobResolver) Device(ctx context.Context, job *bff.Job) (*bff.Device, error) {
	return reference(ctx, loaders.FromContext(ctx).Device.Load, job.DeviceID)
}

func (jobResolver) Runs(ctx context.Context, job *bff.Job, first *int, after *string) (*model.JobRunConnection, error) {
	request, err := pageRequest(ctx, first, after)
	if err != nil {
		return nil, err
	}
	page, err := loaders.FromContext(ctx).JobRuns.Load(ctx, loaders.PageKey{ID: job.ID, Page: request})
	if err != nil {
		return nil, err
	}
	return runConnection(page, request), nil
}
