package cache

import (
	"context"
	"reflect"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/cache/codec"
)

type identified[V any] interface {
	*V
	GetID() string
}

// byID indexes the response of a batch read by id.
func byID[V any, P identified[V]](found []P, err error) (map[string]P, error) {
	if err != nil {
		return nil, err
	}
	values := make(map[string]P, len(found))
	for _, v := range found {
		values[v.GetID()] = v
	}
	return values, nil
}

// inOrder lists the found entities in the order of the ids, each once.
func inOrder[V any](ids []string, found map[string]*V, err error) ([]*V, error) {
	if err != nil {
		return nil, err
	}
	all := make([]*V, 0, len(found))
	for _, id := range ids {
		if v, ok := found[id]; ok {
			all = append(all, v)
			delete(found, id) // ids may repeat
		}
	}
	return all, nil
}

// getSingle reads a method that has one response and no id.
func getSingle[V any](ctx context.Context, r *read[V], args string, call func(ctx context.Context) (V, error)) (V, error) {
	found, err := r.get(ctx, args, []string{""}, func(ctx context.Context, _ []string) (map[string]V, error) {
		value, err := call(ctx)
		if err != nil {
			return nil, err
		}
		return map[string]V{"": value}, nil
	})
	return found[""], err
}

// arguments encodes the arguments of a method as a part of a key.
type arguments[A any] struct{ codec *codec.Codec }

func newArguments[A any]() arguments[A] { return arguments[A]{codec.Must(reflect.TypeFor[A]())} }

func (a arguments[A]) key(args A) string { return a.codec.Digest(args) }

var (
	_ bff.Accounts   = accounts{}
	_ bff.Devices    = devices{}
	_ bff.Trips      = trips{}
	_ bff.Jobs       = jobs{}
	_ bff.Activities = activities{}
)
