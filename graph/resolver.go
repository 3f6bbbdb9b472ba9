// Package graph answers queries: it fulfils the resolver interfaces that gqlgen makes of schema/,
// one file a schema file, by asking the ports of bff.
//
// Root fields ask a port; references to other entities go through the request's loaders, one call
// an entity and level. Access is checked once, when the document is prepared (graph/document), and
// ownership by the services; resolvers check neither. Errors become GraphQL's in errors.go, nowhere
// else.
package graph

import (
	"context"
	"slices"

	"github.com/99designs/gqlgen/graphql"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/graph/exec"
	"github.com/sluicehq/sluice/graph/model"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/loaders"
)

// Resolver answers every field that is more than a value of a view.
type Resolver struct {
	loaders.Ports
	Clock   clock.Clock
	Conduct bff.Conduct // nil watches nobody
}

type (
	queryResolver        struct{ *Resolver }
	mutationResolver     struct{ *Resolver }
	subscriptionResolver struct{ *Resolver }
	viewerResolver       struct{ *Resolver }
	callerUsageResolver  struct{ *Resolver }
	deviceResolver       struct{ *Resolver }
	commandResolver      struct{ *Resolver }
	deviceConfigResolver struct{ *Resolver }
	tripResolver         struct{ *Resolver }
	jobResolver          struct{ *Resolver }
	activityResolver     struct{ *Resolver }
)

var _ exec.ResolverRoot = (*Resolver)(nil)

// Query answers the fields of Query.
func (r *Resolver) Query() exec.QueryResolver { return queryResolver{r} }

// Mutation answers the fields of Mutation.
func (r *Resolver) Mutation() exec.MutationResolver { return mutationResolver{r} }

// Subscription answers the fields of Subscription.
func (r *Resolver) Subscription() exec.SubscriptionResolver { return subscriptionResolver{r} }

// Viewer answers the references of a viewer.
func (r *Resolver) Viewer() exec.ViewerResolver { return viewerResolver{r} }

// CallerUsage answers the references of a caller.
func (r *Resolver) CallerUsage() exec.CallerUsageResolver { return callerUsageResolver{r} }

// Device answers the lists and references of a device.
func (r *Resolver) Device() exec.DeviceResolver { return deviceResolver{r} }

// Command answers the references of a command.
func (r *Resolver) Command() exec.CommandResolver { return commandResolver{r} }

// DeviceConfig answers the history of a configuration.
func (r *Resolver) DeviceConfig() exec.DeviceConfigResolver { return deviceConfigResolver{r} }

// Trip answers the references of a trip.
func (r *Resolver) Trip() exec.TripResolver { return tripResolver{r} }

// Job answers the references of a job.
func (r *Resolver) Job() exec.JobResolver { return jobResolver{r} }

// Activity answers the references of an activity.
func (r *Resolver) Activity() exec.ActivityResolver { return activityResolver{r} }

// checkID refuses an id that is not one of the kind.
func checkID(argument string, kind ids.Kind, id string) error {
	if err := ids.Check(kind, id); err != nil {
		return errs.Invalid(argument, "%s", err)
	}
	return nil
}

// withinLimit refuses to narrow by devices that do not exist for an API key that is limited to some. The
// services that keep what is about devices do not know them.
func (r *Resolver) withinLimit(ctx context.Context, deviceIDs ...string) error {
	if len(deviceIDs) == 0 || len(caller.FromContext(ctx).DeviceLabels) == 0 {
		return nil
	}
	found, err := r.Devices.GetDevices(ctx, deviceIDs)
	if err != nil {
		return err
	}
	for _, id := range deviceIDs {
		if !slices.ContainsFunc(found, func(d *bff.Device) bool { return d.ID == id }) {
			return errs.Missing("device", id)
		}
	}
	return nil
}

// each is what the pointer leads to, if anything.
func each(id *string) []string {
	if id == nil || *id == "" {
		return nil
	}
	return []string{*id}
}

// reference loads what an entity refers to; "" refers to nothing.
func reference[V any](ctx context.Context, load func(context.Context, string) (*V, error), id string) (*V, error) {
	if id == "" {
		return nil, nil
	}
	return load(ctx, id)
}

// pageRequest reads the arguments of a connection, and whether its totalCount is asked for.
func pageRequest(ctx context.Context, first *int, after *string) (bff.PageRequest, error) {
	request := bff.PageRequest{WithTotal: selected(ctx)["totalCount"]}
	if after != nil {
		request.After = *after
	}
	if first == nil {
		return request, nil
	}
	if *first < 1 {
		return bff.PageRequest{}, errs.Invalid("first", "must be at least 1")
	}
	request.First = *first
	return request, nil
}

// selected names the fields below the one in ctx.
func selected(ctx context.Context) map[string]bool {
	names := map[string]bool{}
	for _, field := range graphql.CollectFieldsCtx(ctx, nil) {
		names[field.Name] = true
	}
	return names
}

// connection makes the parts that all connections share: an edge an item, and where the page lies.
func connection[N, E any](page bff.Page[N], request bff.PageRequest, edge func(cursor string, node *N) E) ([]*E, *model.PageInfo) {
	edges, all := make([]*E, len(page.Items)), make([]E, len(page.Items))
	for i, item := range page.Items {
		all[i] = edge(page.Cursors[i], item)
		edges[i] = &all[i]
	}
	info := &model.PageInfo{HasNextPage: page.HasNext, HasPreviousPage: request.After != ""}
	if n := len(page.Cursors); n > 0 {
		info.StartCursor, info.EndCursor = &page.Cursors[0], &page.Cursors[n-1]
	}
	return edges, info
}

// nonNil makes an empty list of none: the schema's lists are never null.
func nonNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
