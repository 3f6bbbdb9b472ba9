package store

import (
	"context"
	"fmt"

	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/job"
)

// The orders of lists.
func newestJobs() sqldb.Newest {
	return sqldb.Newest{Name: "jobs", Column: "created_at", Kind: ids.Job}
}

func newestRuns() sqldb.Newest {
	return sqldb.Newest{Name: "runs", Column: "queued_at", Kind: ids.JobRun}
}

func jobCursor(j job.Job) page.Cursor { return newestJobs().Cursor(j.CreatedAt, j.ID) }
func runCursor(r job.Run) page.Cursor { return newestRuns().Cursor(r.QueuedAt, r.ID) }

// Get returns the jobs that exist.
func (s *Store) Get(ctx context.Context, ids []string, owner string) ([]job.Job, error) {
	var where sqldb.Where
	where.In("id", ids)
	ownedBy(&where, owner)
	return s.jobs(ctx, where.SQL(), where.Args())
}

// List returns a page of jobs, newest first.
func (s *Store) List(ctx context.Context, filter job.Filter, request page.Request) (page.Page[job.Job], error) {
	size, err := request.Size()
	if err != nil {
		return page.Page[job.Job]{}, err
	}
	where := filtered(filter)
	total, err := s.db.Total(ctx, request, "jobs", where)
	if err != nil {
		return page.Page[job.Job]{}, err
	}
	if err := newestJobs().After(&where, request.After); err != nil {
		return page.Page[job.Job]{}, err
	}
	jobs, err := s.jobs(ctx, where.SQL()+newestJobs().SQL()+` LIMIT `+where.Arg(size+1), where.Args())
	if err != nil {
		return page.Page[job.Job]{}, err
	}
	cut := page.Cut(jobs, size, jobCursor)
	cut.Total = total
	return cut, nil
}

func filtered(filter job.Filter) sqldb.Where {
	var where sqldb.Where
	sqldb.Narrow(&where, "status", filter.Statuses)
	sqldb.Narrow(&where, "kind", filter.Kinds)
	if filter.DeviceID != "" {
		where.And("device_id <> '' AND device_id = ?", filter.DeviceID)
	}
	if filter.NameContains != "" {
		where.Contains("name_folded", filter.NameContains)
	}
	ownedBy(&where, filter.CreatedBy)
	return where
}

func ownedBy(where *sqldb.Where, owner string) {
	if owner != "" {
		where.And("created_by = ?", owner)
	}
}

func (s *Store) jobs(ctx context.Context, rest string, args []any) ([]job.Job, error) {
	jobs, err := sqldb.Select(ctx, s.db.Read(), s.scanJob, `SELECT `+jobColumns+` FROM jobs`+rest, args...)
	if err != nil {
		return nil, fmt.Errorf("read jobs: %w", err)
	}
	return jobs, nil
}

// Count counts jobs by status.
func (s *Store) Count(ctx context.Context, owner string) (job.Counts, error) {
	var where sqldb.Where
	ownedBy(&where, owner)
	byStatus, err := s.db.Counts(ctx, "jobs", "status", where)
	if err != nil {
		return nil, err
	}
	counts := make(job.Counts, len(byStatus))
	for status, n := range byStatus {
		counts[job.Status(status)] = n
	}
	return counts, nil
}

// ListOfDevices returns a page of jobs for each device that has jobs.
func (s *Store) ListOfDevices(ctx context.Context, deviceIDs []string, owner string, request page.Request) (map[string]page.Page[job.Job], error) {
	var where sqldb.Where
	where.And("device_id <> ''") // the condition of the partial index
	where.In("device_id", deviceIDs)
	ownedBy(&where, owner)
	return sqldb.Children[job.Job]{
		Table: "jobs", Columns: jobColumns, Parent: "device_id", Order: newestJobs(),
		Scan: s.scanJob, ParentOf: func(j job.Job) string { return j.DeviceID }, CursorOf: jobCursor,
	}.Pages(ctx, s.db, where, request)
}

// ListRuns returns a page of runs for each job that has runs.
func (s *Store) ListRuns(ctx context.Context, jobIDs []string, owner string, request page.Request) (map[string]page.Page[job.Run], error) {
	var where sqldb.Where
	where.In("job_id", jobIDs)
	if owner != "" {
		where.And("EXISTS (SELECT 1 FROM jobs WHERE jobs.id = job_runs.job_id AND jobs.created_by = ?)", owner)
	}
	return sqldb.Children[job.Run]{
		Table: "job_runs", Columns: runColumns, Parent: "job_id", Order: newestRuns(),
		Scan: scanRun, ParentOf: func(r job.Run) string { return r.JobID }, CursorOf: runCursor,
	}.Pages(ctx, s.db, where, request)
}
