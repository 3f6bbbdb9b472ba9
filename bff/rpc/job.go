package rpc

import (
	"context"

	"google.golang.org/grpc"

	"github.com/sluicehq/sluice/bff"
	jobv1 "github.com/sluicehq/sluice/services/gen/job/v1"
)

// Jobs calls the job service. It implements bff.Jobs.
type Jobs struct{ client jobv1.JobsClient }

var _ bff.Jobs = Jobs{}

// NewJobs returns the port over a connection.
func NewJobs(conn grpc.ClientConnInterface) Jobs { return Jobs{client: jobv1.NewJobsClient(conn)} }

// CreateJob implements bff.Jobs.
func (j Jobs) CreateJob(ctx context.Context, input bff.CreateJobInput) (*bff.Job, error) {
	request := &jobv1.CreateJobRequest{
		Name: input.Name, Description: text(input.Description), Kind: input.Kind, PayloadJson: string(input.Payload),
		RunAt: timestamp(input.RunAt), Cron: text(input.Cron), TimeZone: text(input.TimeZone),
		DeviceId: text(input.DeviceID), IdempotencyKey: text(input.IdempotencyKey),
	}
	if input.MaxAttempts != nil {
		request.MaxAttempts = positive(*input.MaxAttempts)
	}
	if input.TimeoutSeconds != nil {
		request.TimeoutSeconds = positive(*input.TimeoutSeconds)
	}
	return one(job)(j.client.CreateJob(ctx, request))
}

// positive encodes 0 as -1, which the service refuses, because 0 on the wire means the default.
func positive(i int) int32 {
	if i == 0 {
		return -1
	}
	return *number(&i)
}

// UpdateJob implements bff.Jobs.
func (j Jobs) UpdateJob(ctx context.Context, input bff.UpdateJobInput) (*bff.Job, error) {
	request := &jobv1.UpdateJobRequest{
		Id: input.ID, ExpectedVersion: version(input.ExpectedVersion), Name: input.Name, Description: input.Description,
		RunAt: timestamp(input.RunAt), Cron: input.Cron, TimeZone: input.TimeZone,
		MaxAttempts: number(input.MaxAttempts), TimeoutSeconds: number(input.TimeoutSeconds), DeviceId: input.DeviceID,
	}
	if named(input.Payload) {
		payload := string(input.Payload)
		request.PayloadJson = &payload
	}
	return one(job)(j.client.UpdateJob(ctx, request))
}

// CancelJob implements bff.Jobs.
func (j Jobs) CancelJob(ctx context.Context, id string, expectedVersion *int) (*bff.Job, error) {
	return one(job)(j.client.CancelJob(ctx, &jobv1.CancelJobRequest{Id: id, ExpectedVersion: version(expectedVersion)}))
}

// RetryJob implements bff.Jobs.
func (j Jobs) RetryJob(ctx context.Context, id string, expectedVersion *int) (*bff.Job, error) {
	return one(job)(j.client.RetryJob(ctx, &jobv1.RetryJobRequest{Id: id, ExpectedVersion: version(expectedVersion)}))
}

// DeleteJob implements bff.Jobs.
func (j Jobs) DeleteJob(ctx context.Context, id string, expectedVersion *int) error {
	_, err := j.client.DeleteJob(ctx, &jobv1.DeleteJobRequest{Id: id, ExpectedVersion: version(expectedVersion)})
	return err
}

// GetJobs implements bff.Jobs.
func (j Jobs) GetJobs(ctx context.Context, ids []string) ([]*bff.Job, error) {
	m, err := j.client.BatchGetJobs(ctx, &jobv1.BatchGetJobsRequest{Ids: ids})
	if err != nil {
		return nil, err
	}
	return each(m.GetJobs(), job), nil
}

// ListJobs implements bff.Jobs.
func (j Jobs) ListJobs(ctx context.Context, filter *bff.JobFilter, request bff.PageRequest) (bff.Page[bff.Job], error) {
	m, err := j.client.ListJobs(ctx, &jobv1.ListJobsRequest{Filter: jobFilter(filter), Page: pageRequest(request)})
	if err != nil {
		return bff.Page[bff.Job]{}, err
	}
	return page(m.GetJobs(), m.GetPage(), job), nil
}

// CountJobs implements bff.Jobs.
func (j Jobs) CountJobs(ctx context.Context) (*bff.JobCounts, error) {
	m, err := j.client.CountJobs(ctx, &jobv1.CountJobsRequest{})
	if err != nil {
		return nil, err
	}
	return &bff.JobCounts{
		Total: int(m.GetTotal()), Scheduled: int(m.GetScheduled()), Queued: int(m.GetQueued()), Running: int(m.GetRunning()),
		Succeeded: int(m.GetSucceeded()), Failed: int(m.GetFailed()), Retrying: int(m.GetRetrying()), Cancelled: int(m.GetCancelled()),
	}, nil
}

// ListDeviceJobs implements bff.Jobs.
func (j Jobs) ListDeviceJobs(ctx context.Context, deviceIDs []string, request bff.PageRequest) (map[string]bff.Page[bff.Job], error) {
	m, err := j.client.BatchListDeviceJobs(ctx, &jobv1.BatchListDeviceJobsRequest{DeviceIds: deviceIDs, Page: pageRequest(request)})
	if err != nil {
		return nil, err
	}
	pages := make(map[string]bff.Page[bff.Job], len(m.GetPages()))
	for _, p := range m.GetPages() {
		pages[p.GetDeviceId()] = page(p.GetJobs(), p.GetPage(), job)
	}
	return pages, nil
}

// ListJobRuns implements bff.Jobs.
func (j Jobs) ListJobRuns(ctx context.Context, jobIDs []string, request bff.PageRequest) (map[string]bff.Page[bff.JobRun], error) {
	m, err := j.client.BatchListRuns(ctx, &jobv1.BatchListRunsRequest{JobIds: jobIDs, Page: pageRequest(request)})
	if err != nil {
		return nil, err
	}
	pages := make(map[string]bff.Page[bff.JobRun], len(m.GetPages()))
	for _, p := range m.GetPages() {
		pages[p.GetJobId()] = page(p.GetRuns(), p.GetPage(), jobRun)
	}
	return pages, nil
}

func jobStatus(s jobv1.Status) bff.JobStatus { return enum[bff.JobStatus](s.String(), "STATUS_") }

func job(m *jobv1.Job) *bff.Job {
	return &bff.Job{
		ID: m.GetId(), Name: m.GetName(), Description: m.GetDescription(), Kind: m.GetKind(), Payload: bff.JSON(m.GetPayloadJson()),
		Status: jobStatus(m.GetStatus()), Version: int(m.GetVersion()),
		RunAt: optionalTime(m.GetRunAt()), Cron: optionalText(m.GetCron()), TimeZone: optionalText(m.GetTimeZone()),
		NextRunAt: optionalTime(m.GetNextRunAt()), Attempt: int(m.GetAttempt()), MaxAttempts: int(m.GetMaxAttempts()),
		TimeoutSeconds: int(m.GetTimeoutSeconds()), DeviceID: m.GetDeviceId(), Progress: m.Progress,
		Result: optionalJSON(m.GetResultJson()), Error: optionalText(m.GetError()), CreatedBy: m.GetCreatedBy(),
		CreatedAt: m.GetCreatedAt().AsTime(), UpdatedAt: m.GetUpdatedAt().AsTime(),
	}
}

func jobRun(m *jobv1.JobRun) *bff.JobRun {
	return &bff.JobRun{
		ID: m.GetId(), Attempt: int(m.GetAttempt()), Status: jobStatus(m.GetStatus()), DueAt: optionalTime(m.GetDueAt()),
		StartedAt: optionalTime(m.GetStartedAt()), FinishedAt: optionalTime(m.GetFinishedAt()),
		Result: optionalJSON(m.GetResultJson()), Error: optionalText(m.GetError()),
	}
}

func jobFilter(f *bff.JobFilter) *jobv1.JobFilter {
	if f == nil {
		return nil
	}
	return &jobv1.JobFilter{
		Statuses: enumValues[jobv1.Status](jobv1.Status_value, "STATUS_", f.Statuses), Kinds: f.Kinds,
		DeviceId: text(f.DeviceID), NameContains: text(f.NameContains),
	}
}
