package job

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/input"
	"github.com/sluicehq/sluice/internal/page"
)

// Get returns the existing jobs that the caller may see, in any order.
func (s *Service) Get(ctx context.Context, jobIDs []string) ([]Job, error) {
	who, err := caller.Require(ctx, caller.JobRead)
	if err != nil {
		return nil, err
	}
	known, err := input.IDs("ids", ids.Job, jobIDs)
	if err != nil || len(known) == 0 {
		return nil, err
	}
	jobs, err := s.store.Get(ctx, known, ownerOf(who))
	if err != nil {
		return nil, fmt.Errorf("get jobs: %w", err)
	}
	return jobs, nil
}

// List returns a page of the jobs that the caller may see, newest first.
func (s *Service) List(ctx context.Context, filter Filter, request page.Request) (page.Page[Job], error) {
	who, err := caller.Require(ctx, caller.JobRead)
	if err != nil {
		return page.Page[Job]{}, err
	}
	if err := s.checkFilter(filter); err != nil {
		return page.Page[Job]{}, err
	}
	if owner := ownerOf(who); owner != "" {
		filter.CreatedBy = owner
	}
	jobs, err := s.store.List(ctx, filter, request)
	if err != nil {
		return page.Page[Job]{}, fmt.Errorf("list jobs: %w", err)
	}
	return jobs, nil
}

func (s *Service) checkFilter(filter Filter) error {
	for _, status := range filter.Statuses {
		if !slices.Contains([]Status{Scheduled, Queued, Running, Succeeded, Failed, Retrying, Cancelled}, status) {
			return errs.Invalid("statuses", "%.20q is not a status", status)
		}
	}
	for _, kind := range filter.Kinds {
		if _, err := s.kinds.lookup(kind); err != nil {
			return errs.Invalid("kinds", "there is no kind %.20q", kind)
		}
	}
	if n := len(filter.Statuses) + len(filter.Kinds); n > maxChosen {
		return errs.Invalid("filter", "names more than %d statuses and kinds", maxChosen)
	}
	return cmp.Or(
		checkDevice(filter.DeviceID),
		input.Line("createdBy", filter.CreatedBy, maxName), input.Line("nameContains", filter.NameContains, maxName),
	)
}

// Count counts the jobs that the caller may see, by status.
func (s *Service) Count(ctx context.Context) (Counts, error) {
	who, err := caller.Require(ctx, caller.JobRead)
	if err != nil {
		return nil, err
	}
	counts, err := s.store.Count(ctx, ownerOf(who))
	if err != nil {
		return nil, fmt.Errorf("count jobs: %w", err)
	}
	return counts, nil
}

// ListOfDevices returns a page of jobs, newest first, for each device with jobs that the caller may see.
func (s *Service) ListOfDevices(ctx context.Context, deviceIDs []string, request page.Request) (map[string]page.Page[Job], error) {
	who, err := caller.Require(ctx, caller.JobRead)
	if err != nil {
		return nil, err
	}
	known, err := input.IDs("deviceIds", ids.Device, deviceIDs)
	if err == nil {
		err = checkRows(len(known), request)
	}
	if err != nil || len(known) == 0 {
		return nil, err
	}
	pages, err := s.store.ListOfDevices(ctx, known, ownerOf(who), request)
	if err != nil {
		return nil, fmt.Errorf("list the jobs of devices: %w", err)
	}
	return pages, nil
}

// ListRuns returns a page of runs, newest first, for each job with runs that the caller may see.
func (s *Service) ListRuns(ctx context.Context, jobIDs []string, request page.Request) (map[string]page.Page[Run], error) {
	who, err := caller.Require(ctx, caller.JobRead)
	if err != nil {
		return nil, err
	}
	known, err := input.IDs("jobIds", ids.Job, jobIDs)
	if err == nil {
		err = checkRows(len(known), request)
	}
	if err != nil || len(known) == 0 {
		return nil, err
	}
	pages, err := s.store.ListRuns(ctx, known, ownerOf(who), request)
	if err != nil {
		return nil, fmt.Errorf("list the runs of jobs: %w", err)
	}
	return pages, nil
}

func checkRows(parents int, request page.Request) error {
	size, err := request.Size()
	if err != nil {
		return err
	}
	if parents*size > maxBatchRows {
		return errs.Invalid("first", "%d pages of %d are more than %d in all", parents, size, maxBatchRows)
	}
	return nil
}
