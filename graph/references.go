package graph

import (
	"context"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/graph/model"
	"github.com/sluicehq/sluice/graph/plan"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/loaders"
)

// planLoaders are the loaders that fields share in the engine, one an entity.
type planLoaders struct {
	account        *plan.Loader[string, *bff.Account]
	apiKey         *plan.Loader[string, *bff.ApiKey]
	device         *plan.Loader[string, *bff.Device]
	deviceEvents   *plan.Loader[loaders.PageKey, bff.Page[bff.DeviceEvent]]
	deviceJobs     *plan.Loader[loaders.PageKey, bff.Page[bff.Job]]
	deviceCommands *plan.Loader[loaders.PageKey, bff.Page[bff.Command]]
	deviceLog      *plan.Loader[loaders.LogKey, []*bff.LogLine]
	command        *plan.Loader[string, *bff.Command]
	commandLog     *plan.Loader[loaders.LogKey, []*bff.LogLine]
	deviceSeries   *plan.Loader[loaders.SeriesKey, []*bff.Series]
	trip           *plan.Loader[string, *bff.Trip]
	tripOnVehicle  *plan.Loader[string, *bff.Trip]
	track          *plan.Loader[loaders.TrackKey, []*bff.Position]
	job            *plan.Loader[string, *bff.Job]
	jobRuns        *plan.Loader[loaders.PageKey, bff.Page[bff.JobRun]]
	activity       *plan.Loader[string, *bff.Activity]
	deviceConfig   *plan.Loader[string, *bff.DeviceConfig]
	stream         *plan.Loader[string, *bff.StreamSession]
	configHistory  *plan.Loader[loaders.PageKey, bff.Page[bff.DeviceConfigVersion]]
}

func newPlanLoaders(b *loaders.Batches) *planLoaders {
	return &planLoaders{
		account:        planLoader("account", b.Account),
		apiKey:         planLoader("api key", b.APIKey),
		device:         planLoader("device", b.Device),
		deviceEvents:   planLoader("device events", b.DeviceEvents),
		deviceJobs:     planLoader("device jobs", b.DeviceJobs),
		deviceCommands: planLoader("device commands", b.DeviceCommands),
		deviceLog:      planLoader("device log", b.DeviceLog),
		command:        planLoader("command", b.Command),
		commandLog:     planLoader("command log", b.CommandLog),
		deviceSeries:   planLoader("device telemetry", b.DeviceSeries),
		trip:           planLoader("trip", b.Trip),
		tripOnVehicle:  planLoader("trip on vehicle", b.TripOnVehicle),
		track:          planLoader("track", b.Track),
		job:            planLoader("job", b.Job),
		jobRuns:        planLoader("job runs", b.JobRuns),
		activity:       planLoader("activity", b.Activity),
		deviceConfig:   planLoader("device configuration", b.DeviceConfig),
		stream:         planLoader("stream", b.Stream),
		configHistory:  planLoader("configuration history", b.ConfigHistory),
	}
}

func planLoader[K comparable, V any](name string, batch loaders.Batch[K, V]) *plan.Loader[K, V] {
	return plan.NewLoader(name, loaders.MaxKeys, batch)
}

// references say how the engine answers the fields that gqlgen's executor answers by the resolvers
// of this package: for all parents at once. What a field asks and shows is the same there and here.
func references(b *loaders.Batches) map[string]plan.Reference {
	l := newPlanLoaders(b)
	return map[string]plan.Reference{
		"Query.node":           l.node(),
		"Query.nodes":          l.nodes(),
		"Query.device":         byID(l.device, ids.Device),
		"Query.trip":           byID(l.trip, ids.Trip),
		"Query.job":            byID(l.job, ids.Job),
		"Viewer.account":       refer(l.account, func(v *bff.Viewer) string { return v.AccountID }),
		"Viewer.apiKey":        refer(l.apiKey, func(v *bff.Viewer) string { return v.APIKeyID }),
		"Trip.account":         refer(l.account, func(t *bff.Trip) string { return t.AccountID }),
		"Trip.vehicle":         refer(l.device, func(t *bff.Trip) string { return t.VehicleID }),
		"Trip.track":           plan.Ask(l.track, trackAsked, trackKey, trackShown),
		"Device.currentTrip":   refer(l.tripOnVehicle, func(d *bff.Device) string { return d.ID }),
		"Device.events":        page(l.deviceEvents, func(d *bff.Device) string { return d.ID }, eventConnection),
		"Device.jobs":          page(l.deviceJobs, func(d *bff.Device) string { return d.ID }, jobConnection),
		"Device.commands":      page(l.deviceCommands, func(d *bff.Device) string { return d.ID }, commandConnection),
		"Device.log":           plan.Ask(l.deviceLog, deviceLogAsked, deviceLogKey, logShown),
		"Command.device":       refer(l.device, func(c *bff.Command) string { return c.DeviceID }),
		"Command.log":          plan.Ask(l.commandLog, commandLogAsked, commandLogKey, logShown),
		"Device.telemetry":     plan.Ask(l.deviceSeries, telemetryAsked, telemetryKey, telemetryShown),
		"Job.device":           refer(l.device, func(j *bff.Job) string { return j.DeviceID }),
		"Job.runs":             page(l.jobRuns, func(j *bff.Job) string { return j.ID }, runConnection),
		"Activity.device":      refer(l.device, func(a *bff.Activity) string { return a.DeviceID }),
		"Activity.trip":        refer(l.trip, func(a *bff.Activity) string { return a.TripID }),
		"Activity.job":         refer(l.job, func(a *bff.Activity) string { return a.JobID }),
		"Device.config":        refer(l.deviceConfig, func(d *bff.Device) string { return d.ID }),
		"Device.stream":        refer(l.stream, func(d *bff.Device) string { return d.ID }),
		"DeviceConfig.history": page(l.configHistory, func(c *bff.DeviceConfig) string { return c.DeviceID }, configConnection),
		"CallerUsage.account":  refer(l.account, func(u *bff.CallerUsage) string { return u.AccountID }),
		"CallerUsage.apiKey":   refer(l.apiKey, func(u *bff.CallerUsage) string { return u.APIKeyID }),
	}
}

// refer answers by the entity that the parent refers to; "" refers to nothing.
func refer[P, V any](loader *plan.Loader[string, V], id func(P) string) plan.Reference {
	return plan.Refer(loader, func(parent P) (string, bool) {
		key := id(parent)
		return key, key != ""
	})
}

// byID answers a field of Query that takes an id of one kind.
func byID[V any](loader *plan.Loader[string, V], kind ids.Kind) plan.Reference {
	return plan.Ask(loader,
		func(_ context.Context, args plan.Args) (string, error) {
			id := plan.Arg[string](args, "id")
			return id, checkID("id", kind, id)
		},
		func(_ any, id string) (string, error) { return id, nil },
		func(_ string, v V) V { return v })
}

// page answers a connection of the parent's.
func page[P, N, C any](
	loader *plan.Loader[loaders.PageKey, bff.Page[N]],
	id func(P) string,
	show func(bff.Page[N], bff.PageRequest) C,
) plan.Reference {
	return plan.Ask(loader,
		func(ctx context.Context, args plan.Args) (bff.PageRequest, error) {
			return pageRequest(ctx, plan.Arg[*int](args, "first"), plan.Arg[*string](args, "after"))
		},
		func(parent P, asked bff.PageRequest) (loaders.PageKey, error) {
			return loaders.PageKey{ID: id(parent), Page: asked}, nil
		},
		func(asked bff.PageRequest, loaded bff.Page[N]) C { return show(loaded, asked) })
}

func trackAsked(_ context.Context, args plan.Args) (int, error) {
	return trackPoints(plan.Arg[*int](args, "maxPoints"))
}

func trackKey(trip *bff.Trip, points int) (loaders.TrackKey, error) {
	return loaders.TrackKey{TripID: trip.ID, MaxPoints: points}, nil
}

func trackShown(_ int, track []*bff.Position) []*bff.Position { return nonNil(track) }

func telemetryAsked(_ context.Context, args plan.Args) (loaders.SeriesKey, error) {
	return seriesKey(
		plan.Arg[[]string](args, "keys"), plan.Arg[time.Time](args, "from"), plan.Arg[time.Time](args, "to"),
		plan.Arg[*int](args, "stepSeconds"), plan.Arg[*bff.Aggregate](args, "aggregate"))
}

func telemetryKey(device *bff.Device, asked loaders.SeriesKey) (loaders.SeriesKey, error) {
	asked.DeviceID = device.ID
	return asked, nil
}

func telemetryShown(_ loaders.SeriesKey, series []*bff.Series) []*bff.Series { return nonNil(series) }

// nodeLoaders are the loaders of what has an id.
func (l *planLoaders) nodeLoaders() []plan.AnyLoader {
	return []plan.AnyLoader{l.account, l.apiKey, l.device, l.command, l.trip, l.job, l.activity}
}

func (l *planLoaders) node() plan.Reference {
	return plan.Defer(l.nodeLoaders(), func(_ context.Context, asks *plan.Asks, _ any, args plan.Args) func() (bff.Node, error) {
		return l.askNode(asks, plan.Arg[string](args, "id"))
	})
}

func (l *planLoaders) nodes() plan.Reference {
	return plan.Defer(l.nodeLoaders(), func(ctx context.Context, asks *plan.Asks, _ any, args plan.Args) func() ([]bff.Node, error) {
		many := plan.Arg[[]string](args, "ids")
		if len(many) > maxNodes {
			return func() ([]bff.Node, error) { return nil, errs.Invalid("ids", "are more than %d", maxNodes) }
		}
		pending := make([]func() (bff.Node, error), len(many))
		for i, id := range many {
			pending[i] = l.askNode(asks, id)
		}
		return func() ([]bff.Node, error) { return gather(ctx, pending), nil }
	})
}

// askNode asks the loader of the id's kind, and gives what takes the answer.
func (l *planLoaders) askNode(asks *plan.Asks, id string) func() (bff.Node, error) {
	kind, err := ids.Parse(id)
	if err != nil {
		return failed(errs.Invalid("id", "%s", err))
	}
	switch kind {
	case ids.Account:
		return asNode(plan.Load(asks, l.account, id).Get)
	case ids.APIKey:
		return asNode(plan.Load(asks, l.apiKey, id).Get)
	case ids.Device:
		return asNode(plan.Load(asks, l.device, id).Get)
	case ids.Command:
		return asNode(plan.Load(asks, l.command, id).Get)
	case ids.Trip:
		return asNode(plan.Load(asks, l.trip, id).Get)
	case ids.Job:
		return asNode(plan.Load(asks, l.job, id).Get)
	case ids.Activity:
		return asNode(plan.Load(asks, l.activity, id).Get)
	}
	return failed(errs.Missing("node", id))
}

// gather waits for many nodes; what cannot be had is null, with an error at its place.
func gather(ctx context.Context, pending []func() (bff.Node, error)) []bff.Node {
	found := make([]bff.Node, len(pending))
	for i, wait := range pending {
		n, err := wait()
		if err != nil {
			graphql.AddError(graphql.WithPathContext(ctx, graphql.NewPathWithIndex(i)), err)
			continue
		}
		found[i] = n
	}
	return found
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
