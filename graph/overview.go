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

// recentActivities is how many activities the overview shows.
const recentActivities = 10

// overviewPart is what the overview reads from one service.
type overviewPart struct {
	field string // of the overview; "" for a service that is only probed
	read  func(r queryResolver, ctx context.Context, o *model.Overview) error
}

// overviewParts has one row for each service of internal/catalog, by its name. It is never written.
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

// Overview reads from all services at once. The part of a service that fails stays null, and `degraded` names the
// service: a partial response is better than none.
func (r queryResolver) Overview(ctx context.Context) (*model.Overview, error) {
	g := gathering{overview: &model.Overview{AsOf: r.Clock.Now(), Degraded: []bff.ServiceName{}}, selected: selected(ctx)}
	for name, part := range overviewParts {
		g.ask(ctx, bff.ServiceNameOf(name), part.field, func(ctx context.Context, o *model.Overview) error { return part.read(r, ctx, o) })
	}
	return g.wait()
}

// gathering asks services side by side; each writes its own field of the overview.
type gathering struct {
	group    errgroup.Group
	mu       sync.Mutex
	overview *model.Overview
	selected map[string]bool
}

// ask calls the service when its field is selected, or when the query wants to know who does not
// answer.
func (g *gathering) ask(ctx context.Context, service bff.ServiceName, field string, call func(context.Context, *model.Overview) error) {
	if !g.selected[field] && !g.selected["degraded"] {
		return
	}
	g.group.Go(func() error {
		defer func() {
			if p := recover(); p != nil { // nobody else would: it would end the program
				graphql.AddError(ctx, Recover(ctx, p))
				g.degrade(service)
			}
		}()
		if err := call(ctx, g.overview); err != nil && !isRefusal(err) {
			g.degrade(service)
		}
		return nil
	})
}

func (g *gathering) degrade(service bff.ServiceName) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.overview.Degraded = append(g.overview.Degraded, service)
}

func (g *gathering) wait() (*model.Overview, error) {
	if err := g.group.Wait(); err != nil {
		return nil, err
	}
	slices.Sort(g.overview.Degraded)
	return g.overview, nil
}

// isRefusal tells an answer, if not the one that was wished for, from no answer.
func isRefusal(err error) bool {
	switch errs.From(err).Code {
	case errs.Unauthenticated, errs.PermissionDenied, errs.NotFound:
		return true
	}
	return false
}

func (r queryResolver) probeAccounts(ctx context.Context, _ *model.Overview) error {
	_, err := r.Accounts.GetAccounts(ctx, []string{caller.FromContext(ctx).AccountID})
	return err
}

func (r queryResolver) activeTrip(ctx context.Context, o *model.Overview) (err error) {
	who := caller.FromContext(ctx)
	if who.AccountID == "" {
		return nil
	}
	o.ActiveTrip, err = r.Ports.Trips.GetOpenTripOfAccount(ctx, who.AccountID)
	return err
}
