package cache

import (
	"context"

	"github.com/sluicehq/sluice/bff"
)

// jobs is a cached port. Embedded methods bypass the cache.
type jobs struct {
	bff.Jobs
	cache    *Cache
	get      *read[*bff.Job]
	list     *read[bff.Page[bff.Job]]
	count    *read[*bff.JobCounts]
	ofDevice *read[bff.Page[bff.Job]]
	runs     *read[bff.Page[bff.JobRun]]

	listArgs arguments[jobListArgs]
	pageArgs arguments[bff.PageRequest]
}

type jobListArgs struct {
	Filter *bff.JobFilter
	Page   bff.PageRequest
}

// Jobs wraps the port in the cache.
func (c *Cache) Jobs(port bff.Jobs) bff.Jobs {
	return jobs{
		Jobs: port, cache: c,
		get:      newRead[*bff.Job](c, "Jobs.GetJobs", true, nil),
		list:     newRead[bff.Page[bff.Job]](c, "Jobs.ListJobs", false, nil),
		count:    newRead[*bff.JobCounts](c, "Jobs.CountJobs", false, nil),
		ofDevice: newRead[bff.Page[bff.Job]](c, "Jobs.ListDeviceJobs", false, nil),
		runs:     newRead[bff.Page[bff.JobRun]](c, "Jobs.ListJobRuns", true, nil),
		listArgs: newArguments[jobListArgs](), pageArgs: newArguments[bff.PageRequest](),
	}
}

func (j jobs) GetJobs(ctx context.Context, ids []string) ([]*bff.Job, error) {
	found, err := j.get.get(ctx, "", ids, func(ctx context.Context, ids []string) (map[string]*bff.Job, error) {
		return byID(j.Jobs.GetJobs(ctx, ids))
	})
	return inOrder(ids, found, err)
}

func (j jobs) ListJobs(ctx context.Context, filter *bff.JobFilter, page bff.PageRequest) (bff.Page[bff.Job], error) {
	return getSingle(ctx, j.list, j.listArgs.key(jobListArgs{filter, page}), func(ctx context.Context) (bff.Page[bff.Job], error) {
		return j.Jobs.ListJobs(ctx, filter, page)
	})
}

func (j jobs) CountJobs(ctx context.Context) (*bff.JobCounts, error) {
	return getSingle(ctx, j.count, "", func(ctx context.Context) (*bff.JobCounts, error) {
		return j.Jobs.CountJobs(ctx)
	})
}

func (j jobs) ListDeviceJobs(ctx context.Context, deviceIDs []string, page bff.PageRequest) (map[string]bff.Page[bff.Job], error) {
	return j.ofDevice.get(ctx, j.pageArgs.key(page), deviceIDs, func(ctx context.Context, ids []string) (map[string]bff.Page[bff.Job], error) {
		return j.Jobs.ListDeviceJobs(ctx, ids, page)
	})
}

func (j jobs) ListJobRuns(ctx context.Context, jobIDs []string, page bff.PageRequest) (map[string]bff.Page[bff.JobRun], error) {
	return j.runs.get(ctx, j.pageArgs.key(page), jobIDs, func(ctx context.Context, ids []string) (map[string]bff.Page[bff.JobRun], error) {
		return j.Jobs.ListJobRuns(ctx, ids, page)
	})
}

func (j jobs) CreateJob(ctx context.Context, input bff.CreateJobInput) (*bff.Job, error) {
	return write(ctx, j.cache, "Jobs.CreateJob", nil, func(ctx context.Context) (*bff.Job, error) {
		return j.Jobs.CreateJob(ctx, input)
	})
}

func (j jobs) UpdateJob(ctx context.Context, input bff.UpdateJobInput) (*bff.Job, error) {
	return write(ctx, j.cache, "Jobs.UpdateJob", []string{input.ID}, func(ctx context.Context) (*bff.Job, error) {
		return j.Jobs.UpdateJob(ctx, input)
	})
}

func (j jobs) CancelJob(ctx context.Context, id string, expectedVersion *int) (*bff.Job, error) {
	return write(ctx, j.cache, "Jobs.CancelJob", []string{id}, func(ctx context.Context) (*bff.Job, error) {
		return j.Jobs.CancelJob(ctx, id, expectedVersion)
	})
}

func (j jobs) RetryJob(ctx context.Context, id string, expectedVersion *int) (*bff.Job, error) {
	return write(ctx, j.cache, "Jobs.RetryJob", []string{id}, func(ctx context.Context) (*bff.Job, error) {
		return j.Jobs.RetryJob(ctx, id, expectedVersion)
	})
}

func (j jobs) DeleteJob(ctx context.Context, id string, expectedVersion *int) error {
	_, err := write(ctx, j.cache, "Jobs.DeleteJob", []string{id}, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, j.Jobs.DeleteJob(ctx, id, expectedVersion)
	})
	return err
}
