// Package graph has the resolvers, a file per schema file, and references.go, the table of references between
// entities. The resolver of a root field calls a port of bff. References go through batch functions of package
// loaders, one call per entity and level. Access is checked when the document is prepared (graph/document), and
// ownership by the services. A failed call is a null field with an error from Present.
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

// Resolver resolves the root fields.
type Resolver struct {
	loaders.Ports
	Clock clock.Clock
	Abuse bff.Abuse // nil records no usage
}

type (
	queryResolver        struct{ *Resolver }
	mutationResolver     struct{ *Resolver }
	subscriptionResolver struct{ *Resolver }
)

var _ exec.Resolvers = (*Resolver)(nil)

// Query resolves the fields of Query that are no references.
func (r *Resolver) Query() exec.QueryFields { return queryResolver{r} }

// Mutation resolves the fields of Mutation.
func (r *Resolver) Mutation() exec.MutationResolver { return mutationResolver{r} }

// Subscription resolves the fields of Subscription.
func (r *Resolver) Subscription() exec.SubscriptionResolver { return subscriptionResolver{r} }

func checkID(argument string, kind ids.Kind, id string) error {
	if err := ids.Check(kind, id); err != nil {
		return errs.Invalid(argument, "%s", err)
	}
	return nil
}

// withinLimit refuses a filter by devices that the labels of an API key exclude, because other services do not know
// labels.
func (r *Resolver) withinLimit(ctx context.Context, deviceIDs ...string) error {
	if len(deviceIDs) == 0 || len(caller.FromContext(ctx).DeviceLabels) == 0 {
		return nil
	}
	return r.checkDevices(ctx, deviceIDs)
}

func (r *Resolver) checkDevices(ctx context.Context, deviceIDs []string) error {
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

func optionalSlice(id *string) []string {
	if id == nil || *id == "" {
		return nil
	}
	return []string{*id}
}

// unlessEmpty lists, unless a list of the filter is empty, which matches nothing. A service could not distinguish it
// from an absent list.
func unlessEmpty[T any](filter any, list func() (bff.Page[T], error)) (bff.Page[T], error) {
	if bff.HasEmptyList(filter) {
		return bff.Page[T]{Items: []*T{}, Total: new(int)}, nil
	}
	return list()
}

// pageRequest reads the arguments of a connection, and whether its totalCount is selected.
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

func selected(ctx context.Context) map[string]bool {
	names := map[string]bool{}
	for _, field := range graphql.CollectFieldsCtx(ctx, nil) {
		names[field.Name] = true
	}
	return names
}

// connection returns the parts that all connections share: an edge for each item, and the page info.
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

// nonNil returns the list, or an empty list for nil: lists are never null in the schema.
func nonNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
