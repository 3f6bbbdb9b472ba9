package graph

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/graph/model"
	"github.com/sluicehq/sluice/graph/plan"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/loaders"
)

// References is the one table of references. Plans resolve them for all parents at once, and plan/plangen generates
// the resolvers of gqlgen's executor from its keys: run `make generate` after a change. Fields with the same loader
// share its batches.
func References(p loaders.Ports) map[string]plan.Reference {
	accounts, apiKeys := newLoader("account", loaders.Accounts(p)), newLoader("api key", loaders.APIKeys(p))
	devices, commands := newLoader("device", loaders.Devices(p)), newLoader("command", loaders.Commands(p))
	trips, jobs := newLoader("trip", loaders.Trips(p)), newLoader("job", loaders.Jobs(p))
	activities := newLoader("activity", loaders.Activities(p))
	byKind := nodes{
		{ids.Account, asNode(accounts), accounts}, {ids.APIKey, asNode(apiKeys), apiKeys}, {ids.Device, asNode(devices), devices},
		{ids.Command, asNode(commands), commands}, {ids.Trip, asNode(trips), trips}, {ids.Job, asNode(jobs), jobs},
		{ids.Activity, asNode(activities), activities},
	}
	return map[string]plan.Reference{
		"Query.node":           byKind.one(),
		"Query.nodes":          byKind.many(),
		"Query.device":         byID(devices, ids.Device),
		"Query.trip":           byID(trips, ids.Trip),
		"Query.job":            byID(jobs, ids.Job),
		"Viewer.account":       refer(accounts, func(v *bff.Viewer) string { return v.AccountID }),
		"Viewer.apiKey":        refer(apiKeys, func(v *bff.Viewer) string { return v.APIKeyID }),
		"CallerUsage.account":  refer(accounts, func(u *bff.CallerUsage) string { return u.AccountID }),
		"CallerUsage.apiKey":   refer(apiKeys, func(u *bff.CallerUsage) string { return u.APIKeyID }),
		"Trip.account":         refer(accounts, func(t *bff.Trip) string { return t.AccountID }),
		"Trip.vehicle":         refer(devices, func(t *bff.Trip) string { return t.VehicleID }),
		"Trip.track":           plan.ReferArgs(newLoader("track", loaders.Tracks(p)), trackArgs, trackKey, list[int, *bff.Position]),
		"Device.currentTrip":   refer(newLoader("open trip", loaders.OpenTrips(p)), (*bff.Device).GetID),
		"Device.stream":        refer(newLoader("stream", loaders.Streams(p)), (*bff.Device).GetID),
		"Device.config":        refer(newLoader("device configuration", loaders.DeviceConfigs(p)), (*bff.Device).GetID),
		"Device.events":        pageOf(newLoader("device events", loaders.DeviceEvents(p)), (*bff.Device).GetID, eventConnection),
		"Device.jobs":          pageOf(newLoader("device jobs", loaders.DeviceJobs(p)), (*bff.Device).GetID, jobConnection),
		"Device.commands":      pageOf(newLoader("device commands", loaders.DeviceCommands(p)), (*bff.Device).GetID, commandConnection),
		"Device.log":           plan.ReferArgs(newLoader("device log", loaders.DeviceLog(p)), logArgs, deviceLogKey, list[loaders.LogKey, *bff.LogLine]),
		"Device.telemetry":     plan.ReferArgs(newLoader("device telemetry", loaders.DeviceSeries(p)), seriesArgs, seriesKey, list[loaders.SeriesKey, *bff.Series]),
		"DeviceConfig.history": pageOf(newLoader("configuration history", loaders.ConfigHistory(p)), func(c *bff.DeviceConfig) string { return c.DeviceID }, configConnection),
		"Command.device":       refer(devices, func(c *bff.Command) string { return c.DeviceID }),
		"Command.log":          plan.ReferArgs(newLoader("command log", loaders.CommandLog(p)), logArgs, commandLogKey, list[loaders.LogKey, *bff.LogLine]),
		"Job.device":           refer(devices, func(j *bff.Job) string { return j.DeviceID }),
		"Job.runs":             pageOf(newLoader("job runs", loaders.JobRuns(p)), (*bff.Job).GetID, runConnection),
		"Activity.device":      refer(devices, func(a *bff.Activity) string { return a.DeviceID }),
		"Activity.trip":        refer(trips, func(a *bff.Activity) string { return a.TripID }),
		"Activity.job":         refer(jobs, func(a *bff.Activity) string { return a.JobID }),
	}
}

func newLoader[K comparable, V any](name string, batch loaders.Batch[K, V]) *plan.Loader[K, V] {
	return plan.NewLoader(name, loaders.MaxBatch, batch)
}

// refer resolves a field to the entity with the id; "" refers to nothing.
func refer[P, V any](loader *plan.Loader[string, V], id func(P) string) plan.Reference {
	return plan.Refer(loader, func(parent P) (string, bool) {
		key := id(parent)
		return key, key != ""
	})
}

// byID resolves a field of Query that takes an id of one kind.
func byID[V any](loader *plan.Loader[string, V], kind ids.Kind) plan.Reference {
	return plan.ReferArgs(loader,
		func(_ context.Context, args plan.Args) (string, error) {
			id := plan.Arg[string](args, "id")
			return id, checkID("id", kind, id)
		},
		func(_ any, id string) (string, error) { return id, nil },
		func(_ string, v V) V { return v })
}

// pageOf resolves a field to a page of a list of the entity with the id.
func pageOf[P, N, C any](
	loader *plan.Loader[loaders.PageKey, bff.Page[N]],
	id func(P) string,
	connection func(bff.Page[N], bff.PageRequest) C,
) plan.Reference {
	return plan.ReferArgs(loader,
		func(ctx context.Context, args plan.Args) (bff.PageRequest, error) {
			return pageRequest(ctx, plan.Arg[*int](args, "first"), plan.Arg[*string](args, "after"))
		},
		func(parent P, request bff.PageRequest) (loaders.PageKey, error) {
			return loaders.PageKey{ID: id(parent), Page: request}, nil
		},
		func(request bff.PageRequest, loaded bff.Page[N]) C { return connection(loaded, request) })
}

// list returns the loaded list, or an empty one: lists are never null in the schema.
func list[A, V any](_ A, loaded []V) []V { return nonNil(loaded) }

// defaultTrackPoints is the number of points of a track without the argument maxPoints.
const defaultTrackPoints = 500

func trackArgs(_ context.Context, args plan.Args) (int, error) {
	points := defaultTrackPoints
	if limit := plan.Arg[*int](args, "maxPoints"); limit != nil {
		points = *limit
	}
	if points < 2 || points > 10000 {
		return 0, errs.Invalid("maxPoints", "must be between 2 and 10,000")
	}
	return points, nil
}

func trackKey(trip *bff.Trip, points int) (loaders.TrackKey, error) {
	return loaders.TrackKey{TripID: trip.ID, MaxPoints: points}, nil
}

// logArgs reads the arguments of the log of a device or a command; a command's log has no times.
func logArgs(_ context.Context, args plan.Args) (loaders.LogKey, error) {
	key := loaders.LogKey{From: plan.Arg[time.Time](args, "from"), To: plan.Arg[time.Time](args, "to")}
	if first := plan.Arg[*int](args, "first"); first != nil {
		if *first < 1 {
			return key, errs.Invalid("first", "must be at least 1")
		}
		key.First = *first
	}
	return key, nil
}

func deviceLogKey(device *bff.Device, key loaders.LogKey) (loaders.LogKey, error) {
	key.ID = device.ID
	return key, nil
}

func commandLogKey(command *bff.Command, key loaders.LogKey) (loaders.LogKey, error) {
	key.ID = command.ID
	return key, nil
}

func seriesArgs(_ context.Context, args plan.Args) (loaders.SeriesKey, error) {
	keys := plan.Arg[[]string](args, "keys")
	if slices.ContainsFunc(keys, func(key string) bool { return key == "" || strings.Contains(key, ",") }) {
		return loaders.SeriesKey{}, errs.Invalid("keys", "a key has a name, and no comma in it")
	}
	key := loaders.SeriesKey{Keys: strings.Join(keys, ","), From: plan.Arg[time.Time](args, "from"), To: plan.Arg[time.Time](args, "to")}
	if step := plan.Arg[*int](args, "stepSeconds"); step != nil {
		if *step < 1 {
			return loaders.SeriesKey{}, errs.Invalid("stepSeconds", "must be at least 1; leave it out for raw readings")
		}
		key.StepSeconds = *step
	}
	if aggregate := plan.Arg[*bff.Aggregate](args, "aggregate"); aggregate != nil {
		key.Aggregate = *aggregate
	}
	if zone := plan.Arg[*string](args, "timeZone"); zone != nil {
		key.TimeZone = *zone
	}
	return key, nil
}

func seriesKey(device *bff.Device, key loaders.SeriesKey) (loaders.SeriesKey, error) {
	key.DeviceID = device.ID
	return key, nil
}

// maxNodes is the largest number of ids of `nodes`.
const maxNodes = 1000

// nodes are the loaders of all entities with an id.
type nodes []struct {
	kind    ids.Kind
	enqueue func(loads *plan.Loads, id string) func() (bff.Node, error)
	loader  plan.AnyLoader
}

func asNode[V bff.Node](loader *plan.Loader[string, V]) func(*plan.Loads, string) func() (bff.Node, error) {
	return func(loads *plan.Loads, id string) func() (bff.Node, error) {
		promise := plan.Enqueue(loads, loader, id)
		return func() (bff.Node, error) {
			v, err := promise.Get()
			if err != nil {
				return nil, err
			}
			return v, nil
		}
	}
}

func (n nodes) loaders() []plan.AnyLoader {
	all := make([]plan.AnyLoader, len(n))
	for i := range n {
		all[i] = n[i].loader
	}
	return all
}

func (n nodes) one() plan.Reference {
	return plan.ReferMany(n.loaders(), func(_ context.Context, loads *plan.Loads, _ any, args plan.Args) func() (bff.Node, error) {
		return n.enqueue(loads, plan.Arg[string](args, "id"))
	})
}

// many resolves `nodes`. An id that cannot be loaded is null, with an error at its index.
func (n nodes) many() plan.Reference {
	return plan.ReferMany(n.loaders(), func(ctx context.Context, loads *plan.Loads, _ any, args plan.Args) func() ([]bff.Node, error) {
		all := plan.Arg[[]string](args, "ids")
		if len(all) > maxNodes {
			return func() ([]bff.Node, error) { return nil, errs.Invalid("ids", "are more than %d", maxNodes) }
		}
		pending := make([]func() (bff.Node, error), len(all))
		for i, id := range all {
			pending[i] = n.enqueue(loads, id)
		}
		return func() ([]bff.Node, error) {
			found := make([]bff.Node, len(pending))
			for i, get := range pending {
				node, err := get()
				if err != nil {
					graphql.AddError(graphql.WithPathContext(ctx, graphql.NewPathWithIndex(i)), err)
					continue
				}
				found[i] = node
			}
			return found, nil
		}
	})
}

// enqueue adds an id to the batch of its kind's loader.
func (n nodes) enqueue(loads *plan.Loads, id string) func() (bff.Node, error) {
	kind, err := ids.Parse(id)
	if err != nil {
		return func() (bff.Node, error) { return nil, errs.Invalid("id", "%s", err) }
	}
	for _, entity := range n {
		if entity.kind == kind {
			return entity.enqueue(loads, id)
		}
	}
	return func() (bff.Node, error) { return nil, errs.Missing("node", id) }
}

func eventConnection(page bff.Page[bff.DeviceEvent], request bff.PageRequest) *model.DeviceEventConnection {
	edges, info := connection(page, request, func(cursor string, node *bff.DeviceEvent) model.DeviceEventEdge {
		return model.DeviceEventEdge{Cursor: cursor, Node: node}
	})
	return &model.DeviceEventConnection{Edges: edges, Nodes: nonNil(page.Items), PageInfo: info, TotalCount: page.Total}
}

func runConnection(page bff.Page[bff.JobRun], request bff.PageRequest) *model.JobRunConnection {
	edges, info := connection(page, request, func(cursor string, node *bff.JobRun) model.JobRunEdge {
		return model.JobRunEdge{Cursor: cursor, Node: node}
	})
	return &model.JobRunConnection{Edges: edges, Nodes: nonNil(page.Items), PageInfo: info, TotalCount: page.Total}
}

func commandConnection(page bff.Page[bff.Command], request bff.PageRequest) *model.CommandConnection {
	edges, info := connection(page, request, func(cursor string, node *bff.Command) model.CommandEdge {
		return model.CommandEdge{Cursor: cursor, Node: node}
	})
	return &model.CommandConnection{Edges: edges, Nodes: nonNil(page.Items), PageInfo: info, TotalCount: page.Total}
}

func configConnection(page bff.Page[bff.DeviceConfigVersion], request bff.PageRequest) *model.DeviceConfigVersionConnection {
	edges, info := connection(page, request, func(cursor string, node *bff.DeviceConfigVersion) model.DeviceConfigVersionEdge {
		return model.DeviceConfigVersionEdge{Cursor: cursor, Node: node}
	})
	return &model.DeviceConfigVersionConnection{Edges: edges, Nodes: nonNil(page.Items), PageInfo: info, TotalCount: page.Total}
}
