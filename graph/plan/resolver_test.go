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
	"github.com/sluicehq/sluice/graph/plan/plantest"
	"github.com/sluicehq/sluice/graph/plan/plantest/exec"
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
			switch w.Fate(name, key) {
			case plantest.Fine, plantest.Strange:
				values[i] = one(w, key)
			case plantest.Fail:
				errs[i] = w.Err(name, key)
			}
		}
		return values, errs
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

// load is what the plain resolvers do: a batch of one.
func load[V any](ctx context.Context, batch func(context.Context, []string) ([]V, []error), key string) (value V, err error) {
	var values []V
	var errs []error
	func() {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("panic in a loader: %v", p)
			}
		}()
		values, errs = batch(ctx, []string{key})
	}()
	switch {
	case err != nil:
		return value, err
	case len(values) != 1:
		return value, errors.New("a loader asked for too much")
	case errs[0] != nil:
		return value, errs[0]
	}
	return values[0], nil
}

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
func (resolver) Query() exec.QueryResolver               { return query{} }
func (resolver) Subscription() exec.SubscriptionResolver { return subscription{} }
func (resolver) Thing() exec.ThingResolver               { return thing{} }
func (resolver) Person() exec.PersonResolver             { return person{} }
func (resolver) Part() exec.PartResolver                 { return part{} }
func (resolver) Square() exec.SquareResolver             { return square{} }

type (
	mutation struct{}
	query    struct{}
	thing    struct{}
	person   struct{}
	part     struct{}
	square   struct{}
)

func (mutation) Rename(ctx context.Context, id, _ string) (*plantest.Thing, error) {
	return load(ctx, thingBatch, id)
}

func (query) Thing(ctx context.Context, id string) (*plantest.Thing, error) {
	if id == "" {
		return nil, errors.New("no id")
	}
	return load(ctx, thingBatch, id)
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

func (query) Node(ctx context.Context, id string) (plantest.Node, error) {
	return nodeOf(id, func(id string) (*plantest.Person, error) { return load(ctx, personBatch, id) },
		func(id string) (*plantest.Thing, error) { return load(ctx, thingBatch, id) })
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

func (query) Nodes(ctx context.Context, ids []string) ([]plantest.Node, error) {
	nodes := make([]plantest.Node, len(ids))
	for i, id := range ids {
		n, err := (query{}).Node(ctx, id)
		if err != nil {
			graphql.AddError(graphql.WithPathContext(ctx, graphql.NewPathWithIndex(i)), err)
			continue
		}
		nodes[i] = n
	}
	return nodes, nil
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

// refer is what a resolver of a reference does.
func refer[P, V any](ctx context.Context, batch func(context.Context, []string) ([]V, []error), key func(P) (string, bool), parent P) (V, error) {
	id, ok := key(parent)
	if !ok {
		var none V
		return none, nil
	}
	return load(ctx, batch, id)
}

func (thing) Owner(ctx context.Context, t *plantest.Thing) (*plantest.Person, error) {
	return refer(ctx, personBatch, ownerOf, t)
}

func (thing) Boss(ctx context.Context, t *plantest.Thing) (*plantest.Person, error) {
	return refer(ctx, personBatch, bossOf, t)
}

func (thing) Friends(ctx context.Context, t *plantest.Thing, first *int) ([]*plantest.Person, error) {
	asked, err := friendsAsked(ctx, first)
	if err != nil {
		return nil, err
	}
	id, err := friendsKey(t, asked)
	if err != nil {
		return nil, err
	}
	friends, err := load(ctx, friendsBatch, id)
	if err != nil {
		return nil, err
	}
	return friendsSeen(asked, friends), nil
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

func (person) Best(ctx context.Context, p *plantest.Person) (*plantest.Person, error) {
	return refer(ctx, personBatch, bestOf, p)
}

func (person) Thing(ctx context.Context, p *plantest.Person) (*plantest.Thing, error) {
	return refer(ctx, thingBatch, thingOf, p)
}

func (part) Owner(ctx context.Context, p *plantest.Part) (*plantest.Person, error) {
	return refer(ctx, personBatch, partOwnerOf, p)
}

func (part) Thing(ctx context.Context, p *plantest.Part) (*plantest.Thing, error) {
	return fated(ctx, plantest.NewThing(p.World, "t"+p.Key), p.Key, "thing")
}

func (square) Owner(ctx context.Context, s *plantest.Square) (*plantest.Person, error) {
	return refer(ctx, personBatch, squareOwnerOf, s)
}

// references are the same, as the engine asks.
func references() map[string]plan.Reference {
	persons := plan.NewLoader("person", 7, personBatch)
	things := plan.NewLoader("thing", 0, thingBatch)
	friends := plan.NewLoader("friends", 0, friendsBatch)
	node := func(asks *plan.Asks, id string) func() (plantest.Node, error) {
		switch {
		case strings.HasPrefix(id, "p"):
			promise := plan.Load(asks, persons, id)
			return func() (plantest.Node, error) {
				return nodeOf(id, func(string) (*plantest.Person, error) { return promise.Get() }, nil)
			}
		case strings.HasPrefix(id, "t"):
			promise := plan.Load(asks, things, id)
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
		"Thing.friends": plan.Ask(friends,
			func(ctx context.Context, args plan.Args) (int, error) {
				return friendsAsked(ctx, plan.Arg[*int](args, "first"))
			},
			friendsKey, friendsSeen),
		"Query.thing": plan.Ask(things,
			func(_ context.Context, args plan.Args) (string, error) {
				if id := plan.Arg[string](args, "id"); id != "" {
					return id, nil
				}
				return "", errors.New("no id")
			},
			func(_ any, id string) (string, error) { return id, nil },
			func(_ string, t *plantest.Thing) *plantest.Thing { return t }),
		"Query.node": plan.Defer(both, func(_ context.Context, asks *plan.Asks, _ any, args plan.Args) func() (plantest.Node, error) {
			return node(asks, plan.Arg[string](args, "id"))
		}),
		"Query.nodes": plan.Defer(both, func(ctx context.Context, asks *plan.Asks, _ any, args plan.Args) func() ([]plantest.Node, error) {
			var waiting []func() (plantest.Node, error)
			for _, id := range plan.Arg[[]string](args, "ids") {
				waiting = append(waiting, node(asks, id))
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
