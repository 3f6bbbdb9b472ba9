package plan_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/sluicehq/sluice/graph/plan"
	"github.com/sluicehq/sluice/graph/plan/plantest/exec"
	"github.com/sluicehq/sluice/internal/plantest"
)

type worldKey struct{}

func worldOf(ctx context.Context) *plantest.World { return ctx.Value(worldKey{}).(*plantest.World) }

// fated gives a value, or what fate has for the place.
func fated[T any](ctx context.Context, value T, place ...any) (T, error) {
	var zero T
	w := worldOf(ctx)
	switch w.Fate(place...) {
	case plantest.Nil:
		return zero, nil
	case plantest.Fail:
		if w.Roll(place...)%3 == 0 {
			return zero, &gqlerror.Error{Message: "own error", Extensions: map[string]any{"code": "OWN"}}
		}
		if w.Roll(place...)%3 == 1 {
			return value, gqlerror.List{{Message: "first"}, {Message: "second"}}
		}
		return value, w.Err(place...)
	case plantest.Panic:
		panic(fmt.Sprint("panic at ", place))
	}
	return value, nil
}

// The batch functions. Fate may befall a key, or a loader as a whole.

func batch[V any](name string, one func(w *plantest.World, key string) V) func(context.Context, []string) ([]V, []error) {
	return func(ctx context.Context, keys []string) ([]V, []error) {
		w := worldOf(ctx)
		if w.Roll(name)%400 < w.Faults {
			switch w.Roll(name, "whole") % 3 {
			case 0:
				panic("a loader")
			case 1:
				return nil, nil
			default:
				return make([]V, len(keys)), repeat(len(keys), errors.New("a loader failed"))
			}
		}
		values, errs := make([]V, len(keys)), make([]error, len(keys))
		for i, key := range keys {
			version := w.Read(name + " " + key)
			switch w.Fate(name, key) {
			case plantest.Fine, plantest.Strange:
				values[i] = one(w, key)
				stamp(values[i], version)
			case plantest.Fail:
				errs[i] = w.Err(name, key)
			}
		}
		return values, errs
	}
}

// stamp adds to the name of what is loaded the number of writes before it, so that a read at the wrong
// time shows in the response.
func stamp(loaded any, version int) {
	if version == 0 {
		return
	}
	switch v := loaded.(type) {
	case *plantest.Person:
		v.Name += fmt.Sprint(" after ", version)
	case *plantest.Thing:
		v.Name += fmt.Sprint(" after ", version)
	case []*plantest.Person:
		for _, p := range v {
			stamp(p, version)
		}
	}
}

func repeat(n int, err error) []error {
	errs := make([]error, n)
	for i := range errs {
		errs[i] = err
	}
	return errs
}

var (
	personBatch  = batch("person", plantest.NewPerson)
	thingBatch   = batch("thing", plantest.NewThing)
	friendsBatch = batch("friends", func(w *plantest.World, key string) []*plantest.Person {
		var friends []*plantest.Person
		for i := range w.Roll(key) % 4 {
			friends = append(friends, plantest.NewPerson(w, fmt.Sprint("p", i)))
		}
		return friends
	})
)

// key is what an object refers to; it may be nothing, or a panic.
func key(w *plantest.World, kind string, place ...any) (string, bool) {
	switch w.Fate(append(place, "key")...) {
	case plantest.Nil:
		return "", false
	case plantest.Panic:
		panic(fmt.Sprint("key of ", place))
	}
	return fmt.Sprint(kind, w.Roll(place...)%5), true
}

func ownerOf(t *plantest.Thing) (string, bool)    { return key(t.World, "p", t.ID, "owner") }
func bossOf(t *plantest.Thing) (string, bool)     { return key(t.World, "p", t.ID, "boss") }
func bestOf(p *plantest.Person) (string, bool)    { return key(p.World, "p", p.ID, "best") }
func thingOf(p *plantest.Person) (string, bool)   { return key(p.World, "t", p.ID, "thing") }
func partOwnerOf(p *plantest.Part) (string, bool) { return key(p.World, "p", p.Key, "owner") }
func squareOwnerOf(s *plantest.Square) (string, bool) {
	if s.World == nil {
		return "", false
	}
	return key(s.World, "p", "square", "owner")
}

func friendsKey(t *plantest.Thing, first int) (string, error) {
	if t.World.Fate(t.ID, "friendsKey") == plantest.Fail {
		return "", t.World.Err(t.ID, "friendsKey")
	}
	return fmt.Sprint(t.ID, "/", first), nil
}

func friendsAsked(ctx context.Context, first *int) (int, error) {
	if first != nil && *first > 5 {
		return 0, fmt.Errorf("more than five of %d", len(graphql.CollectFieldsCtx(ctx, nil)))
	}
	if first == nil {
		return 0, nil
	}
	return *first, nil
}

func friendsSeen(first int, friends []*plantest.Person) []*plantest.Person {
	if first < 0 {
		panic("a negative number of friends")
	}
	return friends[:min(first, len(friends))]
}

// The resolvers, as gqlgen calls them.

type resolver struct{}

func (resolver) Mutation() exec.MutationResolver         { return mutation{} }
func (resolver) Query() exec.QueryFields                 { return query{} }
func (resolver) Subscription() exec.SubscriptionResolver { return subscription{} }
func (resolver) Thing() exec.ThingFields                 { return thing{} }
func (resolver) Part() exec.PartFields                   { return part{} }

type (
	mutation struct{}
	query    struct{}
	thing    struct{}
	part     struct{}
)

func (mutation) Rename(ctx context.Context, id, name string) (*plantest.Thing, error) {
	w := worldOf(ctx)
	w.Write("rename " + id + " " + name)
	renamed := plantest.NewThing(w, id)
	renamed.Name = name
	return fated(ctx, renamed, "rename", id)
}

func (mutation) Remove(ctx context.Context, id string) (*plantest.Thing, error) {
	worldOf(ctx).Write("remove " + id)
	return fated(ctx, plantest.NewThing(worldOf(ctx), id), "remove", id)
}

func (mutation) Touch(ctx context.Context, ids []string) ([]plantest.Node, error) {
	w := worldOf(ctx)
	w.Write(fmt.Sprint("touch ", ids))
	var touched []plantest.Node
	for i := range ids {
		touched = append(touched, plantest.NewPerson(w, fmt.Sprint("p", i)), plantest.NewThing(w, fmt.Sprint("t", i)))
	}
	return fated(ctx, touched, "touch", len(ids))
}

func (mutation) Count(ctx context.Context) (int, error) {
	worldOf(ctx).Write("count")
	return fated(ctx, 7, "count")
}

func (query) Guarded(context.Context) (*string, error) { return new("guarded"), nil }

func (query) Loose(context.Context) (map[string]any, error) {
	return map[string]any{"name": "loose"}, nil
}

func (query) Must(ctx context.Context) (*plantest.Thing, error) {
	return fated(ctx, plantest.NewThing(worldOf(ctx), "t0"), "must")
}

func (query) Things(ctx context.Context, first *int, _ *plantest.Kind) ([]*plantest.Thing, error) {
	var things []*plantest.Thing
	for i := range min(*first, 6) {
		things = append(things, plantest.NewThing(worldOf(ctx), fmt.Sprint("t", i)))
	}
	return fated(ctx, things, "things", *first)
}

func (query) Maybes(ctx context.Context) ([]*plantest.Thing, error) {
	w := worldOf(ctx)
	var things []*plantest.Thing
	for i := range 3 {
		if w.Fate("maybes", i) == plantest.Nil {
			things = append(things, nil)
			graphql.AddError(graphql.WithPathContext(ctx, graphql.NewPathWithIndex(i)), errors.New("no such thing"))
			continue
		}
		things = append(things, plantest.NewThing(w, fmt.Sprint("t", i)))
	}
	return fated(ctx, things, "maybes")
}

func nodeOf(id string, person func(string) (*plantest.Person, error), thing func(string) (*plantest.Thing, error)) (plantest.Node, error) {
	switch {
	case strings.HasPrefix(id, "p"):
		p, err := person(id)
		if err != nil {
			return nil, err
		}
		return p, nil
	case strings.HasPrefix(id, "t"):
		t, err := thing(id)
		return t, err
	case id == "stranger":
		return plantest.Stranger{}, nil
	case id == "nil":
		return nil, nil
	}
	return nil, errors.New("no node " + id)
}

func (query) Anything(ctx context.Context) ([]plantest.Anything, error) {
	w := worldOf(ctx)
	any := []plantest.Anything{plantest.NewThing(w, "t1"), plantest.NewPerson(w, "p1")}
	for _, shape := range plantest.NewShapes(w, "any") {
		a, _ := shape.(plantest.Anything)
		any = append(any, a)
	}
	return fated(ctx, any, "anything")
}

func (query) Shapes(ctx context.Context) ([]plantest.Shape, error) {
	return fated(ctx, plantest.NewShapes(worldOf(ctx), "shapes"), "shapes")
}

func (query) Matrix(ctx context.Context) ([][]int, error) {
	return fated(ctx, [][]int{{1, 2}, nil, {}}, "matrix")
}

func (query) Grid(ctx context.Context) ([][]*plantest.Cell, error) {
	w := worldOf(ctx)
	return fated(ctx, [][]*plantest.Cell{{plantest.NewCell(w, "a"), plantest.NewCell(w, "b")}, nil}, "grid")
}

func (query) Label(ctx context.Context) (string, error) { return fated(ctx, "label", "label") }

func (query) Kind(ctx context.Context) (*plantest.Kind, error) {
	kind := plantest.Kind("PLAIN")
	return fated(ctx, &kind, "kind")
}

func (query) Kinds(ctx context.Context) ([]plantest.Kind, error) {
	return fated(ctx, []plantest.Kind{"PLAIN", "FANCY"}, "kinds")
}

func (query) Ratio(ctx context.Context) (float64, error) { return fated(ctx, 0.5, "ratio") }

func (query) Filtered(ctx context.Context, filter *plantest.Filter, at *int64) (*string, error) {
	text := graphql.GetPath(ctx).String()
	if filter != nil {
		read, _ := json.Marshal(filter) // texts and numbers
		text += string(read)
	}
	if at != nil {
		text += fmt.Sprint(*at)
	}
	return fated(ctx, &text, "filtered")
}

func (query) Persons(ctx context.Context, ids []string) ([]*plantest.Person, error) {
	var persons []*plantest.Person
	for _, id := range ids {
		persons = append(persons, plantest.NewPerson(worldOf(ctx), id))
	}
	return fated(ctx, persons, "persons")
}

func (thing) Child(ctx context.Context, t *plantest.Thing) (*plantest.Thing, error) {
	return fated(ctx, plantest.NewThing(t.World, t.ID+"x"), t.ID, "child")
}

func (thing) Children(ctx context.Context, t *plantest.Thing) ([]*plantest.Thing, error) {
	return fated(ctx, []*plantest.Thing{plantest.NewThing(t.World, t.ID+"y"), plantest.NewThing(t.World, t.ID+"z")}, t.ID, "children")
}

func (thing) Score(ctx context.Context, t *plantest.Thing, of int) (int, error) {
	return fated(ctx, of+len(graphql.GetPath(ctx)), t.ID, "score")
}

func (thing) Notes(ctx context.Context, t *plantest.Thing) ([]string, error) {
	graphql.AddErrorf(ctx, "a remark")
	return fated(ctx, []string{graphql.GetPath(ctx).String(), t.ID}, t.ID, "notes")
}

func (thing) Kin(ctx context.Context, t *plantest.Thing) (plantest.Named, error) {
	if t.World.Fate(t.ID, "kin") == plantest.Strange {
		return plantest.Stranger{}, nil
	}
	return fated[plantest.Named](ctx, plantest.NewPerson(t.World, "p2"), t.ID, "kin")
}

// Strict may not be null, whatever the schema says.
func (thing) Strict(ctx context.Context, t *plantest.Thing) (*string, error) {
	if t.World.Roll(t.ID, "strict")%2 == 0 {
		graphql.MarkNonNull(ctx)
	}
	text := "strict"
	return fated(ctx, &text, t.ID, "strict")
}

func (part) Thing(ctx context.Context, p *plantest.Part) (*plantest.Thing, error) {
	return fated(ctx, plantest.NewThing(p.World, "t"+p.Key), p.Key, "thing")
}

// references are the same, as the engine loads.
func references() map[string]plan.Reference {
	persons := plan.NewLoader("person", 7, personBatch)
	things := plan.NewLoader("thing", 0, thingBatch)
	friends := plan.NewLoader("friends", 0, friendsBatch)
	node := func(loads *plan.Loads, id string) func() (plantest.Node, error) {
		switch {
		case strings.HasPrefix(id, "p"):
			promise := plan.Enqueue(loads, persons, id)
			return func() (plantest.Node, error) {
				return nodeOf(id, func(string) (*plantest.Person, error) { return promise.Get() }, nil)
			}
		case strings.HasPrefix(id, "t"):
			promise := plan.Enqueue(loads, things, id)
			return func() (plantest.Node, error) {
				return nodeOf(id, nil, func(string) (*plantest.Thing, error) { return promise.Get() })
			}
		}
		return func() (plantest.Node, error) { return nodeOf(id, nil, nil) }
	}
	both := []plan.AnyLoader{persons, things}
	return map[string]plan.Reference{
		"Thing.owner":  plan.Refer(persons, ownerOf),
		"Thing.boss":   plan.Refer(persons, bossOf),
		"Person.best":  plan.Refer(persons, bestOf),
		"Person.thing": plan.Refer(things, thingOf),
		"Part.owner":   plan.Refer(persons, partOwnerOf),
		"Square.owner": plan.Refer(persons, squareOwnerOf),
		"Thing.friends": plan.ReferArgs(friends,
			func(ctx context.Context, args plan.Args) (int, error) {
				return friendsAsked(ctx, plan.Arg[*int](args, "first"))
			},
			friendsKey, friendsSeen),
		"Query.thing": plan.ReferArgs(things,
			func(_ context.Context, args plan.Args) (string, error) {
				if id := plan.Arg[string](args, "id"); id != "" {
					return id, nil
				}
				return "", errors.New("no id")
			},
			func(_ any, id string) (string, error) { return id, nil },
			func(_ string, t *plantest.Thing) *plantest.Thing { return t }),
		"Query.node": plan.ReferMany(both, func(_ context.Context, loads *plan.Loads, _ any, args plan.Args) func() (plantest.Node, error) {
			return node(loads, plan.Arg[string](args, "id"))
		}),
		"Query.nodes": plan.ReferMany(both, func(ctx context.Context, loads *plan.Loads, _ any, args plan.Args) func() ([]plantest.Node, error) {
			var waiting []func() (plantest.Node, error)
			for _, id := range plan.Arg[[]string](args, "ids") {
				waiting = append(waiting, node(loads, id))
			}
			return func() ([]plantest.Node, error) { return collect(ctx, waiting), nil }
		}),
	}
}

func collect(ctx context.Context, waiting []func() (plantest.Node, error)) []plantest.Node {
	nodes := make([]plantest.Node, len(waiting))
	for i, wait := range waiting {
		n, err := wait()
		if err != nil {
			graphql.AddError(graphql.WithPathContext(ctx, graphql.NewPathWithIndex(i)), err)
			continue
		}
		nodes[i] = n
	}
	return nodes
}
