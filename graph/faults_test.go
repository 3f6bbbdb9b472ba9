package graph_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/plantest"
	"github.com/sluicehq/sluice/loaders"
)

// watch sees the calls of one request: how many are under way, and which never end by themselves.
type watch struct {
	underWay atomic.Int64
	hang     bool // where fate has a panic, the call waits until it is cancelled instead
}

type (
	worldKey struct{}
	watchKey struct{}
)

// in gives a context in which the world's faults befall the ports.
func in(ctx context.Context, w *plantest.World) context.Context {
	return context.WithValue(ctx, worldKey{}, w)
}

func worldOf(ctx context.Context) *plantest.World {
	if w, ok := ctx.Value(worldKey{}).(*plantest.World); ok {
		return w
	}
	return &plantest.World{}
}

// faulty are ports that go wrong where the world of the context says so: a service that is away or
// out of time, a bug that panics, keys that are not answered, answers that are too short. What befalls
// a call depends on its method and arguments, and what befalls a key on the key, never on the keys
// that are asked beside it: however calls are put together, the same goes wrong.
func faulty(p loaders.Ports) loaders.Ports {
	return loaders.Ports{
		Accounts: faultyAccounts{p.Accounts}, Devices: faultyDevices{p.Devices}, Trips: faultyTrips{p.Trips},
		Jobs: faultyJobs{p.Jobs}, Activities: faultyActivities{p.Activities},
	}
}

type (
	faultyAccounts   struct{ bff.Accounts }
	faultyDevices    struct{ bff.Devices }
	faultyTrips      struct{ bff.Trips }
	faultyJobs       struct{ bff.Jobs }
	faultyActivities struct{ bff.Activities }
)

// attempt makes a call, unless something befalls it. An answer may be lost without an error.
func attempt[V any](ctx context.Context, place []any, call func() (V, error)) (answer V, err error) {
	w := worldOf(ctx)
	watched, _ := ctx.Value(watchKey{}).(*watch)
	if watched != nil {
		watched.underWay.Add(1)
		defer watched.underWay.Add(-1)
	}
	fate := w.Fate(place[0]) // of the method: a panic takes with it what is asked beside it
	if fate != plantest.Panic {
		fate = min(w.Fate(place...), plantest.Fail)
	}
	switch fate {
	case plantest.Fail:
		return answer, trouble(w, place)
	case plantest.Panic:
		if watched == nil {
			panic("a bug on the way to a service")
		}
		if watched.hang {
			<-ctx.Done()
			return answer, ctx.Err()
		}
	case plantest.Nil:
		return answer, nil
	}
	return call()
}

// trouble is an error as services and the way to them give it.
func trouble(w *plantest.World, place []any) error {
	down := errs.New(errs.Unavailable, errs.ReasonServiceDown, "the service does not answer")
	down.Service, down.RetryAfter = "device", 250*time.Millisecond
	return []error{
		down,
		errs.New(errs.DeadlineExceeded, errs.ReasonDeadline, "the time for this call ran out"),
		errs.New(errs.PermissionDenied, errs.ReasonNotAllowed, "not for you"),
		errors.New("what nobody outside may read"),
		context.DeadlineExceeded,
	}[w.Roll(append(place, "trouble")...)%5]
}

// list is a page of which an item may be missing, or a cursor.
func list[T any](ctx context.Context, call func() (bff.Page[T], error), place ...any) (bff.Page[T], error) {
	page, err := attempt(ctx, place, call)
	if err == nil {
		page = shortened(ctx, page, place...)
	}
	return page, err
}

func shortened[T any](ctx context.Context, page bff.Page[T], place ...any) bff.Page[T] {
	w := worldOf(ctx)
	if n := len(page.Items); n > 0 && w.Fate(append(place, "item")...) != plantest.Fine {
		page.Items = slices.Clone(page.Items)
		page.Items[w.Roll(place...)%uint64(n)] = nil
	}
	if n := len(page.Cursors); n > 0 && ctx.Value(watchKey{}) == nil && w.Fate(append(place, "cursor")...) != plantest.Fine {
		page.Cursors = page.Cursors[:n-1]
	}
	return page
}

// entities leaves out those whose fate it is.
func entities[V bff.Node](ctx context.Context, what string, call func() ([]V, error)) ([]V, error) {
	w := worldOf(ctx)
	all, err := attempt(ctx, []any{what}, call)
	return slices.DeleteFunc(slices.Clone(all), func(v V) bool { return w.Fate(what, v.GetID()) != plantest.Fine }), err
}

// byKey leaves out those whose fate it is.
func byKey[V any](ctx context.Context, call func() (map[string]V, error), place ...any) (map[string]V, error) {
	w := worldOf(ctx)
	all, err := attempt(ctx, place, call)
	some := map[string]V{}
	for key, v := range all {
		if w.Fate(append(place, key)...) == plantest.Fine {
			some[key] = v
		}
	}
	return some, err
}

// pages are pages by key, each with faults of its own.
func pages[T any](ctx context.Context, call func() (map[string]bff.Page[T], error), place ...any) (map[string]bff.Page[T], error) {
	some, err := byKey(ctx, call, place...)
	for key, page := range some {
		some[key] = shortened(ctx, page, append(place, key)...)
	}
	return some, err
}

func (f faultyAccounts) GetAccounts(ctx context.Context, ids []string) ([]*bff.Account, error) {
	return entities(ctx, "accounts", func() ([]*bff.Account, error) { return f.Accounts.GetAccounts(ctx, ids) })
}

func (f faultyAccounts) GetAPIKeys(ctx context.Context, ids []string) ([]*bff.ApiKey, error) {
	return entities(ctx, "api keys", func() ([]*bff.ApiKey, error) { return f.Accounts.GetAPIKeys(ctx, ids) })
}

func (f faultyAccounts) ListAPIKeys(ctx context.Context) ([]*bff.ApiKey, error) {
	return entities(ctx, "list of api keys", func() ([]*bff.ApiKey, error) { return f.Accounts.ListAPIKeys(ctx) })
}

func (f faultyDevices) GetDevices(ctx context.Context, ids []string) ([]*bff.Device, error) {
	return entities(ctx, "devices", func() ([]*bff.Device, error) { return f.Devices.GetDevices(ctx, ids) })
}

func (f faultyDevices) ListDevices(ctx context.Context, filter *bff.DeviceFilter, order bff.DeviceOrder, page bff.PageRequest) (bff.Page[bff.Device], error) {
	return list(ctx, func() (bff.Page[bff.Device], error) { return f.Devices.ListDevices(ctx, filter, order, page) }, "list of devices", order, page)
}

func (f faultyDevices) CountDevices(ctx context.Context) (*bff.DeviceCounts, error) {
	return attempt(ctx, []any{"count of devices"}, func() (*bff.DeviceCounts, error) { return f.Devices.CountDevices(ctx) })
}

func (f faultyDevices) ListDeviceEvents(ctx context.Context, ids []string, page bff.PageRequest) (map[string]bff.Page[bff.DeviceEvent], error) {
	return pages(ctx, func() (map[string]bff.Page[bff.DeviceEvent], error) {
		return f.Devices.ListDeviceEvents(ctx, ids, page)
	}, "events", page)
}

func (f faultyDevices) QueryTelemetry(ctx context.Context, ids []string, query bff.TelemetryQuery) (map[string][]*bff.Series, error) {
	return byKey(ctx, func() (map[string][]*bff.Series, error) { return f.Devices.QueryTelemetry(ctx, ids, query) }, "telemetry", query)
}

func (f faultyTrips) GetTrips(ctx context.Context, ids []string) ([]*bff.Trip, error) {
	return entities(ctx, "trips", func() ([]*bff.Trip, error) { return f.Trips.GetTrips(ctx, ids) })
}

func (f faultyTrips) ListTrips(ctx context.Context, filter *bff.TripFilter, page bff.PageRequest) (bff.Page[bff.Trip], error) {
	return list(ctx, func() (bff.Page[bff.Trip], error) { return f.Trips.ListTrips(ctx, filter, page) }, "list of trips", page)
}

func (f faultyTrips) GetOpenTripsByVehicle(ctx context.Context, ids []string) (map[string]*bff.Trip, error) {
	return byKey(ctx, func() (map[string]*bff.Trip, error) { return f.Trips.GetOpenTripsByVehicle(ctx, ids) }, "open trips")
}

func (f faultyTrips) GetOpenTripOfAccount(ctx context.Context, id string) (*bff.Trip, error) {
	return attempt(ctx, []any{"open trip"}, func() (*bff.Trip, error) { return f.Trips.GetOpenTripOfAccount(ctx, id) })
}

func (f faultyTrips) GetTracks(ctx context.Context, ids []string, most int) (map[string][]*bff.Position, error) {
	return byKey(ctx, func() (map[string][]*bff.Position, error) { return f.Trips.GetTracks(ctx, ids, most) }, "tracks", most)
}

func (f faultyJobs) GetJobs(ctx context.Context, ids []string) ([]*bff.Job, error) {
	return entities(ctx, "jobs", func() ([]*bff.Job, error) { return f.Jobs.GetJobs(ctx, ids) })
}

func (f faultyJobs) ListJobs(ctx context.Context, filter *bff.JobFilter, page bff.PageRequest) (bff.Page[bff.Job], error) {
	return list(ctx, func() (bff.Page[bff.Job], error) { return f.Jobs.ListJobs(ctx, filter, page) }, "list of jobs", page)
}

func (f faultyJobs) CountJobs(ctx context.Context) (*bff.JobCounts, error) {
	return attempt(ctx, []any{"count of jobs"}, func() (*bff.JobCounts, error) { return f.Jobs.CountJobs(ctx) })
}

func (f faultyJobs) ListDeviceJobs(ctx context.Context, ids []string, page bff.PageRequest) (map[string]bff.Page[bff.Job], error) {
	return pages(ctx, func() (map[string]bff.Page[bff.Job], error) { return f.Jobs.ListDeviceJobs(ctx, ids, page) }, "jobs of devices", page)
}

func (f faultyJobs) ListJobRuns(ctx context.Context, ids []string, page bff.PageRequest) (map[string]bff.Page[bff.JobRun], error) {
	return pages(ctx, func() (map[string]bff.Page[bff.JobRun], error) { return f.Jobs.ListJobRuns(ctx, ids, page) }, "runs", page)
}

func (f faultyActivities) GetActivities(ctx context.Context, ids []string) ([]*bff.Activity, error) {
	return entities(ctx, "activities", func() ([]*bff.Activity, error) { return f.Activities.GetActivities(ctx, ids) })
}

func (f faultyActivities) ListActivities(ctx context.Context, filter *bff.ActivityFilter, page bff.PageRequest) (bff.Page[bff.Activity], error) {
	return list(ctx, func() (bff.Page[bff.Activity], error) { return f.Activities.ListActivities(ctx, filter, page) }, "list of activities", page)
}

func (f faultyActivities) ReportHydration(ctx context.Context, query bff.HydrationQuery) (*bff.HydrationReport, error) {
	return attempt(ctx, []any{"hydration", query.From, query.To}, func() (*bff.HydrationReport, error) { return f.Activities.ReportHydration(ctx, query) })
}

func (f faultyDevices) GetCommands(ctx context.Context, ids []string) ([]*bff.Command, error) {
	return entities(ctx, "commands", func() ([]*bff.Command, error) { return f.Devices.GetCommands(ctx, ids) })
}

func (f faultyDevices) ListDeviceCommands(ctx context.Context, ids []string, page bff.PageRequest) (map[string]bff.Page[bff.Command], error) {
	return pages(ctx, func() (map[string]bff.Page[bff.Command], error) { return f.Devices.ListDeviceCommands(ctx, ids, page) }, "commands of devices", page)
}

func (f faultyDevices) GetCommandLogs(ctx context.Context, ids []string, first int) (map[string][]*bff.LogLine, error) {
	return byKey(ctx, func() (map[string][]*bff.LogLine, error) { return f.Devices.GetCommandLogs(ctx, ids, first) }, "logs of commands", first)
}

func (f faultyDevices) GetDeviceLogs(ctx context.Context, ids []string, query bff.LogQuery) (map[string][]*bff.LogLine, error) {
	return byKey(ctx, func() (map[string][]*bff.LogLine, error) { return f.Devices.GetDeviceLogs(ctx, ids, query) }, "logs of devices", query)
}

func (f faultyDevices) GetDeviceConfigs(ctx context.Context, ids []string) (map[string]*bff.DeviceConfig, error) {
	return byKey(ctx, func() (map[string]*bff.DeviceConfig, error) { return f.Devices.GetDeviceConfigs(ctx, ids) }, "configurations")
}

func (f faultyDevices) ListConfigVersions(ctx context.Context, ids []string, page bff.PageRequest) (map[string]bff.Page[bff.DeviceConfigVersion], error) {
	return pages(ctx, func() (map[string]bff.Page[bff.DeviceConfigVersion], error) {
		return f.Devices.ListConfigVersions(ctx, ids, page)
	}, "versions", page)
}

func (f faultyDevices) ListDeviceConfigSchemas(ctx context.Context) ([]*bff.DeviceConfigSchema, error) {
	return attempt(ctx, []any{"schemas"}, func() ([]*bff.DeviceConfigSchema, error) { return f.Devices.ListDeviceConfigSchemas(ctx) })
}
