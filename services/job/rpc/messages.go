package rpc

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/page"
	jobv1 "github.com/sluicehq/sluice/services/gen/job/v1"
	typesv1 "github.com/sluicehq/sluice/services/gen/types/v1"
	"github.com/sluicehq/sluice/services/job"
	types "github.com/sluicehq/sluice/services/types/rpc"
)

// EncodeJob encodes the payload of the events of a job: a jobv1.Job.
func EncodeJob(j job.Job) ([]byte, error) { return proto.Marshal(toJob(j)) }

// EncodeOrder encodes an order for the work queue: a jobv1.RunOrder.
func EncodeOrder(o job.Order) ([]byte, error) {
	return proto.Marshal(&jobv1.RunOrder{JobId: o.JobID, RunId: o.RunID})
}

// DecodeOrder decodes an order from the work queue.
func DecodeOrder(data []byte) (job.Order, error) {
	var order jobv1.RunOrder
	if err := proto.Unmarshal(data, &order); err != nil {
		return job.Order{}, fmt.Errorf("read an order: %w", err)
	}
	return job.Order{JobID: order.GetJobId(), RunID: order.GetRunId()}, nil
}

func toJob(j job.Job) *jobv1.Job {
	return &jobv1.Job{
		Id: j.ID, Name: j.Name, Description: j.Description, Kind: j.Kind, PayloadJson: j.Payload,
		Status: toStatus(j.Status), Version: j.Version,
		RunAt: types.Timestamp(j.RunAt), Cron: j.Cron, TimeZone: j.TimeZone, NextRunAt: types.Timestamp(j.NextRunAt),
		Attempt: int32(j.Attempt), MaxAttempts: int32(j.MaxAttempts), TimeoutSeconds: int32(j.Timeout / time.Second),
		DeviceId: j.DeviceID, ResultJson: j.Result, Error: j.Error, CreatedBy: j.CreatedBy,
		CreatedAt: timestamppb.New(j.CreatedAt), UpdatedAt: timestamppb.New(j.UpdatedAt), Deleted: j.Deleted,
	}
}

func toRun(r job.Run) *jobv1.JobRun {
	return &jobv1.JobRun{
		Id: r.ID, JobId: r.JobID, Attempt: int32(r.Attempt), Status: toStatus(r.Status),
		DueAt: timestamppb.New(r.DueAt), StartedAt: types.Timestamp(r.StartedAt), FinishedAt: types.Timestamp(r.FinishedAt),
		ResultJson: r.Result, Error: r.Error,
	}
}

const statusPrefix = "STATUS_"

func toStatus(s job.Status) jobv1.Status {
	return jobv1.Status(jobv1.Status_value[statusPrefix+string(s)])
}

func statusOf(s jobv1.Status) (job.Status, error) {
	name, ok := jobv1.Status_name[int32(s)]
	if !ok || s == jobv1.Status_STATUS_UNSPECIFIED {
		return "", errs.Invalid("statuses", "%d is not a status", s)
	}
	return job.Status(name[len(statusPrefix):]), nil
}

func filterOf(f *jobv1.JobFilter) (job.Filter, error) {
	filter := job.Filter{Kinds: f.GetKinds(), DeviceID: f.GetDeviceId(), NameContains: f.GetNameContains()}
	for _, s := range f.GetStatuses() {
		status, err := statusOf(s)
		if err != nil {
			return job.Filter{}, err
		}
		filter.Statuses = append(filter.Statuses, status)
	}
	return filter, nil
}

// orEmpty returns an empty page for a parent without rows, with the total if requested.
func orEmpty[T any](p page.Page[T], request *typesv1.PageRequest) page.Page[T] {
	if p.Total == nil && request.GetWithTotal() {
		p.Total = new(int64)
	}
	return p
}

func intOf(n *int32) *int {
	if n == nil {
		return nil
	}
	wide := int(*n)
	return &wide
}

// unique returns each id once, in the order of the request.
func unique(all []string) []string {
	seen := make(map[string]bool, len(all))
	var once []string
	for _, id := range all {
		if !seen[id] {
			seen[id] = true
			once = append(once, id)
		}
	}
	return once
}
