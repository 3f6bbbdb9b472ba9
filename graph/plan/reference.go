package plan

import (
	"context"
	"fmt"
	"reflect"

	"github.com/99designs/gqlgen/graphql"
)

// Reference answers a field for many parents at once.
type Reference interface {
	loaders() []anyLoader
	// fits says whether the Go types are those of the field.
	fits(f *Field) error
	// wantsContext says whether the field's context must stand at each parent's own place.
	wantsContext() bool
	// ask adds the keys of all parents to the loads.
	ask(r *run, n *Node, st *state)
	// finish takes the values, when all loads have ended.
	finish(r *run, n *Node, st *state)
}

// Args are the arguments of a field, read as the schema has them.
type Args map[string]any

// Arg gives an argument, or its type's zero value.
func Arg[T any](args Args, name string) T {
	v, _ := args[name].(T)
	return v
}

func fits[P, R any](f *Field) error {
	if parent := reflect.TypeFor[P](); f.Parent != nil && parent != f.Parent {
		return fmt.Errorf("it is for a %v, the field is of a %v", parent, f.Parent)
	}
	if result := reflect.TypeFor[R](); result != f.Result {
		return fmt.Errorf("it gives a %v, the field is a %v", result, f.Result)
	}
	return nil
}

// parentOf gives the parent as its type; fields of Query have none.
func parentOf[P any](parent any) P {
	p, _ := parent.(P)
	return p
}

// nothing is where the entry of a parent is that has no key.
const nothing = -1

// Refer answers a field by the entity that its parent refers to. A parent without a key refers to
// nothing, which is null.
func Refer[P any, K comparable, V any](loader *Loader[K, V], key func(parent P) (K, bool)) Reference {
	return refer[P, K, V]{loader, key}
}

type refer[P any, K comparable, V any] struct {
	loader *Loader[K, V]
	key    func(P) (K, bool)
}

func (f refer[P, K, V]) loaders() []anyLoader    { return []anyLoader{f.loader} }
func (f refer[P, K, V]) fits(field *Field) error { return fits[P, V](field) }
func (refer[P, K, V]) wantsContext() bool        { return false }
func (f refer[P, K, V]) ask(r *run, n *Node, st *state) {
	l := r.loads[n.loads[0]].(*load[K, V])
	r.each(n, st, func(i int) error {
		if key, ok := f.key(parentOf[P](st.parents[i])); ok {
			st.at[i] = l.ask(key)
		}
		return nil
	})
}

func (f refer[P, K, V]) finish(r *run, n *Node, st *state) {
	l := r.loads[n.loads[0]].(*load[K, V])
	for i, at := range st.at {
		if st.results[i].err != nil {
			continue
		}
		var v V
		if at != nothing {
			v, st.results[i].err = l.get(at)
		}
		st.results[i].value = v
	}
}

// Ask answers a field with arguments. prepare reads them, once; key makes a parent's key of what was
// read; view makes the field's value of what was loaded.
func Ask[P, A any, K comparable, V, R any](
	loader *Loader[K, V],
	prepare func(ctx context.Context, args Args) (A, error),
	key func(parent P, asked A) (K, error),
	view func(asked A, loaded V) R,
) Reference {
	return ask[P, A, K, V, R]{loader, prepare, key, view}
}

type ask[P, A any, K comparable, V, R any] struct {
	loader  *Loader[K, V]
	prepare func(context.Context, Args) (A, error)
	key     func(P, A) (K, error)
	view    func(A, V) R
}

func (f ask[P, A, K, V, R]) loaders() []anyLoader    { return []anyLoader{f.loader} }
func (f ask[P, A, K, V, R]) fits(field *Field) error { return fits[P, R](field) }
func (ask[P, A, K, V, R]) wantsContext() bool        { return false }

func (f ask[P, A, K, V, R]) ask(r *run, n *Node, st *state) {
	ctx := graphql.WithFieldContext(r.ctx, r.fieldContext(n, st))
	st.fc.Parent = n.chain.Parent
	asked := new(A)
	st.prepared = asked
	var refused error
	read := false
	l := r.loads[n.loads[0]].(*load[K, V])
	r.each(n, st, func(i int) (err error) {
		if !read {
			*asked, refused = f.prepare(ctx, Args(st.fc.Args))
			read = true
		}
		if refused != nil {
			return refused
		}
		key, err := f.key(parentOf[P](st.parents[i]), *asked)
		if err != nil {
			return err
		}
		st.at[i] = l.ask(key)
		return nil
	})
}

func (f ask[P, A, K, V, R]) finish(r *run, n *Node, st *state) {
	asked := st.prepared.(*A)
	l := r.loads[n.loads[0]].(*load[K, V])
	r.each(n, st, func(i int) error {
		v, err := l.get(st.at[i])
		if err != nil {
			return err
		}
		st.results[i].value = f.view(*asked, v)
		return nil
	})
}

// Defer answers a field by as many keys of as many loaders as it likes: it asks for them, and gives
// what makes the field's value of them when they are there. The context stands at the parent's
// place, so that errors of parts of the value can be added to the answer.
func Defer[P, R any](
	needs []AnyLoader,
	resolve func(ctx context.Context, asks *Asks, parent P, args Args) func() (R, error),
) Reference {
	all := make([]anyLoader, len(needs))
	for i, loader := range needs {
		all[i] = loader
	}
	return deferred[P, R]{all, resolve}
}

// AnyLoader is a *Loader of any types.
type AnyLoader interface{ anyLoader }

type deferred[P, R any] struct {
	needs   []anyLoader
	resolve func(context.Context, *Asks, P, Args) func() (R, error)
}

func (f deferred[P, R]) loaders() []anyLoader    { return f.needs }
func (f deferred[P, R]) fits(field *Field) error { return fits[P, R](field) }
func (deferred[P, R]) wantsContext() bool        { return true }

func (f deferred[P, R]) ask(r *run, n *Node, st *state) {
	finishers := make([]func() (R, error), len(st.parents))
	st.prepared = finishers
	asks := &Asks{r, n}
	r.fieldContext(n, st)
	r.each(n, st, func(i int) error {
		ctx, fc := r.contextFor(n, st, i)
		finishers[i] = f.resolve(ctx, asks, parentOf[P](st.parents[i]), Args(fc.Args))
		return nil
	})
}

func (f deferred[P, R]) finish(r *run, n *Node, st *state) {
	finishers := st.prepared.([]func() (R, error))
	r.each(n, st, func(i int) error {
		v, err := finishers[i]()
		if err != nil {
			return err
		}
		st.results[i].value = v
		return nil
	})
}

// Asks is where a deferred field asks.
type Asks struct {
	run  *run
	node *Node
}

// Promise is a value that will be there when the field is finished, and not after.
type Promise[V any] struct {
	load interface{ get(at int32) (V, error) }
	at   int32
}

// Get gives the value, or its error.
func (p Promise[V]) Get() (V, error) { return p.load.get(p.at) }

// Load asks the loader for a key. The loader must be one that the field needs, as Defer was told.
func Load[K comparable, V any](asks *Asks, loader *Loader[K, V], key K) Promise[V] {
	for _, i := range asks.node.loads {
		if l, ok := asks.run.loads[i].(*load[K, V]); ok && l.loader == loader {
			return Promise[V]{l, l.ask(key)}
		}
	}
	panic("plan: " + asks.node.object.Name + "." + asks.node.field.Name + " asks the loader " + loader.name + ", which it did not say that it needs")
}
