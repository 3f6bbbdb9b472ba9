// Package loaders turns the many small questions of one level of a query into one question a
// service.
//
// For each entity there is a batch function, keys in, values and one error a key out; its file is
// the entity's home. A Set holds one request's loaders: equal keys asked by different fields are
// asked once, and what was loaded is not loaded again within the request, until a mutation makes
// the Set forget it.
package loaders

import (
	"context"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/errs"
)

// Ports are the services as batch functions call them.
type Ports = bff.Ports

// Set is the loaders of one request.
type Set struct {
	Account        *Loader[string, *bff.Account]
	APIKey         *Loader[string, *bff.ApiKey]
	Device         *Loader[string, *bff.Device]
	DeviceEvents   *Loader[PageKey, bff.Page[bff.DeviceEvent]]
	DeviceJobs     *Loader[PageKey, bff.Page[bff.Job]]
	DeviceCommands *Loader[PageKey, bff.Page[bff.Command]]
	DeviceLog      *Loader[LogKey, []*bff.LogLine]
	Command        *Loader[string, *bff.Command]
	CommandLog     *Loader[LogKey, []*bff.LogLine]
	DeviceSeries   *Loader[SeriesKey, []*bff.Series]
	Trip           *Loader[string, *bff.Trip]
	TripOnVehicle  *Loader[string, *bff.Trip]
	Track          *Loader[TrackKey, []*bff.Position]
	Job            *Loader[string, *bff.Job]
	JobRuns        *Loader[PageKey, bff.Page[bff.JobRun]]
	Activity       *Loader[string, *bff.Activity]
	DeviceConfig   *Loader[string, *bff.DeviceConfig]
	Stream         *Loader[string, *bff.StreamSession]
	ConfigHistory  *Loader[PageKey, bff.Page[bff.DeviceConfigVersion]]
}

// NewSet gives fresh loaders over the ports.
func NewSet(p Ports) *Set {
	b := NewBatches(p)
	return &Set{
		Account:        newLoader(b.Account),
		APIKey:         newLoader(b.APIKey),
		Device:         newLoader(b.Device),
		DeviceEvents:   newLoader(b.DeviceEvents),
		DeviceJobs:     newLoader(b.DeviceJobs),
		DeviceCommands: newLoader(b.DeviceCommands),
		DeviceLog:      newLoader(b.DeviceLog),
		Command:        newLoader(b.Command),
		CommandLog:     newLoader(b.CommandLog),
		DeviceSeries:   newLoader(b.DeviceSeries),
		Trip:           newLoader(b.Trip),
		TripOnVehicle:  newLoader(b.TripOnVehicle),
		Track:          newLoader(b.Track),
		Job:            newLoader(b.Job),
		JobRuns:        newLoader(b.JobRuns),
		Activity:       newLoader(b.Activity),
		DeviceConfig:   newLoader(b.DeviceConfig),
		Stream:         newLoader(b.Stream),
		ConfigHistory:  newLoader(b.ConfigHistory),
	}
}

// Forget drops what was loaded. Nobody may be loading.
func (s *Set) Forget(p Ports) { *s = *NewSet(p) }

// Batch loads many keys at once: one value and one error a key, in the order of the keys. No error
// at all is nil.
type Batch[K comparable, V any] func(ctx context.Context, keys []K) ([]V, []error)

func all(n int, err error) []error {
	failures := make([]error, n)
	for i := range failures {
		failures[i] = err
	}
	return failures
}

// nodes is the batch function of an entity with an id: what the service leaves out is NOT_FOUND.
func nodes[V bff.Node](what string, get func(ctx context.Context, ids []string) ([]V, error)) Batch[string, V] {
	return func(ctx context.Context, ids []string) ([]V, []error) {
		values := make([]V, len(ids))
		found, err := get(ctx, ids)
		if err != nil {
			return values, all(len(ids), err)
		}
		byID := make(map[string]V, len(found))
		for _, v := range found {
			byID[v.GetID()] = v
		}
		return pick(ids, byID, func(id string) error { return errs.Missing(what, id) })
	}
}

// pick orders what was found by the keys; missing tells the error of a key without a value.
func pick[K comparable, V any](keys []K, found map[K]V, missing func(K) error) ([]V, []error) {
	values := make([]V, len(keys))
	var failures []error
	for i, key := range keys {
		v, ok := found[key]
		if ok {
			values[i] = v
			continue
		}
		if err := missing(key); err != nil {
			if failures == nil {
				failures = make([]error, len(keys))
			}
			failures[i] = err
		}
	}
	return values, failures
}

// grouped is the batch function of keys that are an id with arguments: one call for each set of
// arguments, which in a query is one for each place that asks.
func grouped[K, A comparable, V any](split func(K) (id string, args A), get func(ctx context.Context, ids []string, args A) (map[string]V, error)) Batch[K, V] {
	return func(ctx context.Context, keys []K) ([]V, []error) {
		values, failures := make([]V, len(keys)), make([]error, len(keys))
		for args, places := range group(keys, split) {
			ids := make([]string, 0, len(places))
			for _, at := range places {
				id, _ := split(keys[at])
				ids = append(ids, id)
			}
			found, err := get(ctx, ids, args)
			for i, at := range places {
				values[at], failures[at] = found[ids[i]], err
			}
		}
		return values, failures
	}
}

func group[K, A comparable](keys []K, split func(K) (string, A)) map[A][]int {
	places := map[A][]int{}
	for i, key := range keys {
		_, args := split(key)
		places[args] = append(places[args], i)
	}
	return places
}

// PageKey asks for a page of something's list.
type PageKey struct {
	ID   string
	Page bff.PageRequest
}

func splitPage(k PageKey) (string, bff.PageRequest) { return k.ID, k.Page }

type setKey struct{}

// NewContext gives a context that carries the request's loaders.
func NewContext(ctx context.Context, set *Set) context.Context {
	return context.WithValue(ctx, setKey{}, set)
}

// FromContext gives the request's loaders; a context without them is a fault of the program.
func FromContext(ctx context.Context) *Set {
	set, ok := ctx.Value(setKey{}).(*Set)
	if !ok {
		panic("loaders: the context carries no Set")
	}
	return set
}
