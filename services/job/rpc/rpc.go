// Package rpc is the gRPC server of sluice.job.v1, and encodes jobs and orders for events and the work queue. A
// message that cannot be decoded is INVALID_ARGUMENT; every other error is returned unchanged.
package rpc

import (
	"context"

	"google.golang.org/grpc"

	jobv1 "github.com/sluicehq/sluice/services/gen/job/v1"
	"github.com/sluicehq/sluice/services/job"
	types "github.com/sluicehq/sluice/services/types/rpc"
)

// Register registers the service with a gRPC server.
func Register(r grpc.ServiceRegistrar, s *job.Service) {
	jobv1.RegisterJobsServer(r, server{service: s})
}

type server struct {
	jobv1.UnimplementedJobsServer
	service *job.Service
}

func (s server) CreateJob(ctx context.Context, r *jobv1.CreateJobRequest) (*jobv1.Job, error) {
	runAt, err := types.OptionalTime("runAt", r.GetRunAt())
	if err != nil {
		return nil, err
	}
	return answer(s.service.Create(ctx, job.CreateInput{
		Name: r.GetName(), Description: r.GetDescription(), Kind: r.GetKind(), Payload: r.GetPayloadJson(),
		RunAt: runAt, Cron: r.GetCron(), TimeZone: r.GetTimeZone(),
		MaxAttempts: int(r.GetMaxAttempts()), TimeoutSeconds: int(r.GetTimeoutSeconds()),
		DeviceID: r.GetDeviceId(), IdempotencyKey: r.GetIdempotencyKey(),
	}))
}

func (s server) UpdateJob(ctx context.Context, r *jobv1.UpdateJobRequest) (*jobv1.Job, error) {
	runAt, err := types.OptionalTime("runAt", r.GetRunAt())
	if err != nil {
		return nil, err
	}
	return answer(s.service.Update(ctx, job.UpdateInput{
		ID: r.GetId(), ExpectedVersion: r.ExpectedVersion,
		Name: r.Name, Description: r.Description, Payload: r.PayloadJson,
		RunAt: runAt, Cron: r.Cron, TimeZone: r.TimeZone,
		MaxAttempts: intOf(r.MaxAttempts), TimeoutSeconds: intOf(r.TimeoutSeconds), DeviceID: r.DeviceId,
	}))
}

func (s server) CancelJob(ctx context.Context, r *jobv1.CancelJobRequest) (*jobv1.Job, error) {
	return answer(s.service.Cancel(ctx, r.GetId(), r.ExpectedVersion))
}

func (s server) RetryJob(ctx context.Context, r *jobv1.RetryJobRequest) (*jobv1.Job, error) {
	return answer(s.service.Retry(ctx, r.GetId(), r.ExpectedVersion))
}

func (s server) DeleteJob(ctx context.Context, r *jobv1.DeleteJobRequest) (*jobv1.DeleteJobResponse, error) {
	if err := s.service.Delete(ctx, r.GetId(), r.ExpectedVersion); err != nil {
		return nil, err
	}
	return &jobv1.DeleteJobResponse{}, nil
}

func (s server) BatchGetJobs(ctx context.Context, r *jobv1.BatchGetJobsRequest) (*jobv1.BatchGetJobsResponse, error) {
	jobs, err := s.service.Get(ctx, r.GetIds())
	if err != nil {
		return nil, err
	}
	return &jobv1.BatchGetJobsResponse{Jobs: types.Each(jobs, toJob)}, nil
}

func (s server) ListJobs(ctx context.Context, r *jobv1.ListJobsRequest) (*jobv1.ListJobsResponse, error) {
	filter, err := filterOf(r.GetFilter())
	if err != nil {
		return nil, err
	}
	p, err := s.service.List(ctx, filter, types.PageRequest(r.GetPage()))
	if err != nil {
		return nil, err
	}
	return &jobv1.ListJobsResponse{Jobs: types.Each(p.Items, toJob), Page: types.PageInfo(p)}, nil
}

func (s server) CountJobs(ctx context.Context, _ *jobv1.CountJobsRequest) (*jobv1.JobCounts, error) {
	counts, err := s.service.Count(ctx)
	if err != nil {
		return nil, err
	}
	return &jobv1.JobCounts{
		Total:     counts.Total(),
		Scheduled: counts[job.Scheduled], Queued: counts[job.Queued], Running: counts[job.Running],
		Succeeded: counts[job.Succeeded], Failed: counts[job.Failed], Retrying: counts[job.Retrying],
		Cancelled: counts[job.Cancelled],
	}, nil
}

// BatchListDeviceJobs returns a page for each requested device, empty or not.
func (s server) BatchListDeviceJobs(ctx context.Context, r *jobv1.BatchListDeviceJobsRequest) (*jobv1.BatchListDeviceJobsResponse, error) {
	pages, err := s.service.ListOfDevices(ctx, r.GetDeviceIds(), types.PageRequest(r.GetPage()))
	if err != nil {
		return nil, err
	}
	response := &jobv1.BatchListDeviceJobsResponse{}
	for _, id := range unique(r.GetDeviceIds()) {
		p := orEmpty(pages[id], r.GetPage())
		response.Pages = append(response.Pages, &jobv1.DeviceJobPage{DeviceId: id, Jobs: types.Each(p.Items, toJob), Page: types.PageInfo(p)})
	}
	return response, nil
}

// BatchListRuns returns a page for each requested job, empty or not.
func (s server) BatchListRuns(ctx context.Context, r *jobv1.BatchListRunsRequest) (*jobv1.BatchListRunsResponse, error) {
	pages, err := s.service.ListRuns(ctx, r.GetJobIds(), types.PageRequest(r.GetPage()))
	if err != nil {
		return nil, err
	}
	response := &jobv1.BatchListRunsResponse{}
	for _, id := range unique(r.GetJobIds()) {
		p := orEmpty(pages[id], r.GetPage())
		response.Pages = append(response.Pages, &jobv1.JobRunPage{JobId: id, Runs: types.Each(p.Items, toRun), Page: types.PageInfo(p)})
	}
	return response, nil
}

func answer(j job.Job, err error) (*jobv1.Job, error) {
	if err != nil {
		return nil, err
	}
	return toJob(j), nil
}
