package plan

import (
	"context"
	"fmt"
	"reflect"

	"github.com/99designs/gqlgen/graphql"
)

// Reference resolves a field of many parents by one batch.
type Reference interface {
	loaders() []anyLoader
	// check returns an error when the Go types are not those of the field.
	check(f *Field) error
	// needsContext reports whether the field's context must have each parent's own path.
	needsContext() bool
	// enqueue adds the keys of all parents to the batches.
	enqueue(r *run, n *Node, st *state)
	// finish takes the values over, when all batches have ended.
	finish(r *run, n *Node, st *state)
	// resolve resolves the field of a single parent, without a batch.
	resolve(ctx context.Context, parent any, args Args) (any, error)
}

// Resolve resolves a reference for one parent, for the resolvers that plan/plangen generates for gqlgen's executor.
func Resolve[R any](ctx context.Context, references map[string]Reference, field string, parent any) (R, error) {
	reference, ok := references[field]
	if !ok {
		panic("plan: the table of references has no " + field)
	}
	v, err := reference.resolve(ctx, parent, Args(graphql.GetFieldContext(ctx).Args))
	result, _ := v.(R)
	return result, err
}

// Args are the arguments of a field, decoded by the types of the schema.
type Args map[string]any

// Arg returns an argument, or the zero value of its type.
func Arg[T any](args Args, name string) T {
	v, _ := args[name].(T)
	return v
}

func checkTypes[P, R any](f *Field) error {
	if parent := reflect.TypeFor[P](); f.Parent != nil && parent != f.Parent {
		return fmt.Errorf("its parent is a %v, the field's is a %v", parent, f.Parent)
	}
	if result := reflect.TypeFor[R](); result != f.Result {
		return fmt.Errorf("its result is a %v, the field's is a %v", result, f.Result)
	}
	return nil
}

// parentOf returns the parent as its type; fields of Query have no parent.
func parentOf[P any](parent any) P {
	p, _ := parent.(P)
	return p
}

// nothing is the entry's index of a parent without a key.
const nothing = -1

// Refer resolves a field to the entity that its parent refers to by a key; null without a key.
func Refer[P any, K comparable, V any](loader *Loader[K, V], key func(parent P) (K, bool)) Reference {
	return refer[P, K, V]{loader, key}
}

type refer[P any, K comparable, V any] struct {
	loader *Loader[K, V]
	key    func(P) (K, bool)
}

func (f refer[P, K, V]) loaders() []anyLoader     { return []anyLoader{f.loader} }
func (f refer[P, K, V]) check(field *Field) error { return checkTypes[P, V](field) }
func (refer[P, K, V]) needsContext() bool         { return false }

func (f refer[P, K, V]) enqueue(r *run, n *Node, st *state) {
	l := r.loads[n.loads[0]].(*load[K, V])
	r.each(n, st, func(i int) error {
		if key, ok := f.key(parentOf[P](st.parents[i])); ok {
			st.at[i] = l.enqueue(key)
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

func (f refer[P, K, V]) resolve(ctx context.Context, parent any, _ Args) (any, error) {
	key, ok := f.key(parentOf[P](parent))
	if !ok {
		return nil, nil
	}
	return f.loader.loadOne(ctx, key)
}

// ReferArgs resolves a field with arguments. prepare reads the arguments, once for all parents; key returns the key
// of a parent; view converts the loaded value.
func ReferArgs[P, A any, K comparable, V, R any](
	loader *Loader[K, V],
	prepare func(ctx context.Context, args Args) (A, error),
	key func(parent P, prepared A) (K, error),
	view func(prepared A, loaded V) R,
) Reference {
	return referArgs[P, A, K, V, R]{loader, prepare, key, view}
}

type referArgs[P, A any, K comparable, V, R any] struct {
	loader  *Loader[K, V]
	prepare func(context.Context, Args) (A, error)
	key     func(P, A) (K, error)
	view    func(A, V) R
}

func (f referArgs[P, A, K, V, R]) loaders() []anyLoader     { return []anyLoader{f.loader} }
func (f referArgs[P, A, K, V, R]) check(field *Field) error { return checkTypes[P, R](field) }
func (referArgs[P, A, K, V, R]) needsContext() bool         { return false }

func (f referArgs[P, A, K, V, R]) enqueue(r *run, n *Node, st *state) {
	ctx := graphql.WithFieldContext(r.ctx, r.fieldContext(n, st))
	st.fc.Parent = n.chain.Parent
	prepared := new(A)
	st.prepared = prepared
	var refused error
	read := false
	l := r.loads[n.loads[0]].(*load[K, V])
	r.each(n, st, func(i int) (err error) {
		if !read {
			*prepared, refused = f.prepare(ctx, Args(st.fc.Args))
			read = true
		}
		if refused != nil {
			return refused
		}
		key, err := f.key(parentOf[P](st.parents[i]), *prepared)
		if err != nil {
			return err
		}
		st.at[i] = l.enqueue(key)
		return nil
	})
}

func (f referArgs[P, A, K, V, R]) finish(r *run, n *Node, st *state) {
	prepared := st.prepared.(*A)
	l := r.loads[n.loads[0]].(*load[K, V])
	r.each(n, st, func(i int) error {
		v, err := l.get(st.at[i])
		if err != nil {
			return err
		}
		st.results[i].value = f.view(*prepared, v)
		return nil
	})
}

func (f referArgs[P, A, K, V, R]) resolve(ctx context.Context, parent any, args Args) (any, error) {
	prepared, err := f.prepare(ctx, args)
	if err != nil {
		return nil, err
	}
	key, err := f.key(parentOf[P](parent), prepared)
	if err != nil {
		return nil, err
	}
	v, err := f.loader.loadOne(ctx, key)
	if err != nil {
		return nil, err
	}
	return f.view(prepared, v), nil
}

// ReferMany resolves a field by keys of several loaders. resolve queues the keys and returns a function that creates
// the field's value when all batches have ended. The context has the parent's path, for errors of parts of the value.
func ReferMany[P, R any](
	needs []AnyLoader,
	resolve func(ctx context.Context, loads *Loads, parent P, args Args) func() (R, error),
) Reference {
	all := make([]anyLoader, len(needs))
	for i, loader := range needs {
		all[i] = loader
	}
	return referMany[P, R]{all, resolve}
}

// AnyLoader is a *Loader of any types.
type AnyLoader interface{ anyLoader }

type referMany[P, R any] struct {
	needs []anyLoader
	start func(context.Context, *Loads, P, Args) func() (R, error)
}

func (f referMany[P, R]) loaders() []anyLoader     { return f.needs }
func (f referMany[P, R]) check(field *Field) error { return checkTypes[P, R](field) }
func (referMany[P, R]) needsContext() bool         { return true }

func (f referMany[P, R]) enqueue(r *run, n *Node, st *state) {
	finishers := make([]func() (R, error), len(st.parents))
	st.prepared = finishers
	loads := &Loads{run: r, node: n}
	r.fieldContext(n, st)
	r.each(n, st, func(i int) error {
		ctx, fc := r.contextFor(n, st, i)
		finishers[i] = f.start(ctx, loads, parentOf[P](st.parents[i]), Args(fc.Args))
		return nil
	})
}

func (f referMany[P, R]) finish(r *run, n *Node, st *state) {
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

func (f referMany[P, R]) resolve(ctx context.Context, parent any, args Args) (any, error) {
	return f.start(ctx, &Loads{ctx: ctx}, parentOf[P](parent), args)()
}

// Loads are the batches of one field: ReferMany queues its keys there.
type Loads struct {
	run  *run
	node *Node
	ctx  context.Context // of gqlgen's executor, which loads each key without a batch; nil in a plan
}

// Promise is a value that is present when the field is finished, and not after.
type Promise[V any] struct {
	load interface{ get(at int32) (V, error) }
	at   int32
}

// Get returns the value, or its error.
func (p Promise[V]) Get() (V, error) { return p.load.get(p.at) }

func (e entry[V]) get(int32) (V, error) { return e.value, e.err }

// Enqueue adds a key to the loader's batch. The loader must be one of those that ReferMany declared.
func Enqueue[K comparable, V any](loads *Loads, loader *Loader[K, V], key K) Promise[V] {
	if loads.ctx != nil {
		v, err := loader.loadOne(loads.ctx, key)
		return Promise[V]{load: entry[V]{v, err}}
	}
	for _, i := range loads.node.loads {
		if l, ok := loads.run.loads[i].(*load[K, V]); ok && l.loader == loader {
			return Promise[V]{l, l.enqueue(key)}
		}
	}
	panic("plan: " + loads.node.object.Name + "." + loads.node.field.Name + " uses the loader " + loader.name + ", which its reference does not declare")
}
