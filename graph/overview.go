package graph

import (
	"context"
	"slices"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/graph/model"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/catalog"
	"github.com/sluicehq/sluice/internal/errs"
)

// recentActivities is the number of activities in the overview.
const recentActivities = 10

// overviewPart is what the overview reads from one service.
type overviewPart struct {
	field string // of the overview; "" for a service that is only probed
	read  func(r queryResolver, ctx context.Context, o *model.Overview) error
}

// overviewParts has one row for each service of internal/catalog. It is never written.
var overviewParts = map[string]overviewPart{
	catalog.Account: {"", queryResolver.probeAccounts},
	catalog.Device: {"devices", func(r queryResolver, ctx context.Context, o *model.Overview) (err error) {
		o.Devices, err = r.Ports.Devices.CountDevices(ctx)
		return err
	}},
	catalog.Trip: {"activeTrip", queryResolver.activeTrip},
	catalog.Job: {"jobs", func(r queryResolver, ctx context.Context, o *model.Overview) (err error) {
		o.Jobs, err = r.Ports.Jobs.CountJobs(ctx)
		return err
	}},
	catalog.Activity: {"recentActivities", func(r queryResolver, ctx context.Context, o *model.Overview) error {
		page, err := r.Ports.Activities.ListActivities(ctx, nil, bff.PageRequest{First: recentActivities})
		if err == nil {
			o.RecentActivities = nonNil(page.Items)
		}
		return err
	}},
}

// Overview reads from all services at once. The part of a failed service is null, and `degraded` names it.
func (r queryResolver) Overview(ctx context.Context) (*model.Overview, error) {
	q := overviewQuery{overview: &model.Overview{AsOf: r.Clock.Now(), Degraded: []bff.ServiceName{}}, selected: selected(ctx)}
	for name, part := range overviewParts {
		q.start(ctx, bff.ServiceNameOf(name), part.field, func(ctx context.Context, o *model.Overview) error { return part.read(r, ctx, o) })
	}
	return q.wait()
}

// overviewQuery calls the services concurrently; each call writes its own field of the overview.
type overviewQuery struct {
	group    errgroup.Group
	mu       sync.Mutex
	overview *model.Overview
	selected map[string]bool
}

func (q *overviewQuery) start(ctx context.Context, service bff.ServiceName, field string, call func(context.Context, *model.Overview) error) {
	if !q.selected[field] && !q.selected["degraded"] {
		return
	}
	q.group.Go(func() error {
		defer func() {
			if p := recover(); p != nil { // a panic of this goroutine would end the program
				graphql.AddError(ctx, Recover(ctx, p))
				q.degrade(service)
			}
		}()
		if err := call(ctx, q.overview); err != nil && !isRefusal(err) {
			q.degrade(service)
		}
		return nil
	})
}

func (q *overviewQuery) degrade(service bff.ServiceName) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.overview.Degraded = append(q.overview.Degraded, service)
}

func (q *overviewQuery) wait() (*model.Overview, error) {
	if err := q.group.Wait(); err != nil {
		return nil, err
	}
	slices.Sort(q.overview.Degraded)
	return q.overview, nil
}

// isRefusal reports whether the service responded, but denied the call.
func isRefusal(err error) bool {
	return errs.FaultOf(err) == errs.FaultAccess || errs.IsMissing(err)
}

func (r queryResolver) probeAccounts(ctx context.Context, _ *model.Overview) error {
	_, err := r.Accounts.GetAccounts(ctx, []string{caller.FromContext(ctx).AccountID})
	return err
}

func (r queryResolver) activeTrip(ctx context.Context, o *model.Overview) (err error) {
	by := caller.FromContext(ctx)
	if by.AccountID == "" {
		return nil
	}
	o.ActiveTrip, err = r.Ports.Trips.GetOpenTripOfAccount(ctx, by.AccountID)
	return err
}
