package cache

import (
	"reflect"

	"github.com/sluicehq/sluice/bff"
)

// identified is an entity that is kept by its id.
type identified[V any] interface {
	*V
	GetID() string
}

// byID is the answer of a batch read as fetch has it.
func byID[V any, P identified[V]](found []P, err error) (map[string]P, error) {
	if err != nil {
		return nil, err
	}
	answers := make(map[string]P, len(found))
	for _, v := range found {
		answers[v.GetID()] = v
	}
	return answers, nil
}

// inOrder lists what was found, in the order of the ids.
func inOrder[V any](ids []string, found map[string]*V, err error) ([]*V, error) {
	if err != nil {
		return nil, err
	}
	all := make([]*V, 0, len(found))
	for _, id := range ids {
		if v, ok := found[id]; ok {
			all = append(all, v)
			delete(found, id) // an id that is asked for twice
		}
	}
	return all, nil
}

// arguments makes keys of the arguments of a method.
type arguments[A any] struct{ codec *codec }

func newArguments[A any]() arguments[A] {
	codec, err := newCodec(reflect.TypeFor[A]())
	if err != nil {
		panic(err) // arguments that make no key, which a test sees
	}
	return arguments[A]{codec}
}

func (a arguments[A]) key(args A) string { return digest(a.codec, args) }

// value makes the answer of a method that has one always.
func value[V any](v V, err error) (V, bool, error) { return v, true, err }

var (
	_ bff.Accounts   = accounts{}
	_ bff.Devices    = devices{}
	_ bff.Trips      = trips{}
	_ bff.Jobs       = jobs{}
	_ bff.Activities = activities{}
)
