package plan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/99designs/gqlgen/graphql"
)

// maxDenials bounds the errors of denied fields in a response: a list can have one for each item.
const maxDenials = 100

// errChanged reports that the passes read different objects.
var errChanged = errors.New("plan: an object changed while the response was written")

// Writer walks a plan over objects. The first pass collects the parents of resolved fields; the second pass appends
// the response to the buffer. A generated function returns whether it wrote a value: false is gqlgen's graphql.Null.
type Writer struct {
	run     *run
	writing bool
	buf     []byte
	weight  int                   // the cost of the fields that were written
	base    *graphql.FieldContext // the start of path
	path    []step
	late    []lateError
	denials int // denied fields that were written
	// required: the field just written is non-null, though it is nullable in the schema.
	required bool
}

// step is a field, or an index of a list.
type step struct {
	node  *Node
	index int
}

// lateError is an error of a scalar's marshaller. It is reported after the second pass, unless a null has removed the
// scalar.
type lateError struct {
	at  int
	ctx context.Context
	err error
}

func (w *Writer) write(p *plan) written {
	w.writing, w.base = true, &w.run.root
	valid := w.Object(p.root, p.root.below[0].id, nil)
	if !valid {
		w.truncate(0)
		w.buf = append(w.buf, "null"...)
	}
	return written{data: bytes.Clone(w.buf), valid: valid, late: slices.Clone(w.late), weight: w.weight}
}

func (w *Writer) reset() {
	clear(w.path[:cap(w.path)])
	clear(w.late)
	if cap(w.buf) > maxPooledBuffer {
		w.buf = nil
	}
	*w = Writer{run: w.run, buf: w.buf[:0], path: w.path[:0], late: w.late[:0]}
}

// visit collects the parents below a node with the value v; the root has no value.
func (w *Writer) visit(n *Node, base *graphql.FieldContext, v any) {
	w.base, w.path = base, w.path[:0]
	defer func() {
		_ = recover() // the second pass has the same panic, and reports it
	}()
	if n.field == nil {
		w.Object(n, n.below[0].id, nil)
		return
	}
	n.field.Value(w, n, v)
}

// Object writes an object of a type: the node's selection set.
func (w *Writer) Object(n *Node, id TypeID, obj any) bool {
	s := n.selectionOf(id)
	if s == nil {
		panic(fmt.Errorf("plan: %s cannot be a %s", n.collected.Name, w.run.schema.source.Types[id].Name))
	}
	if !w.writing {
		for _, below := range s.deep {
			w.collect(below, obj)
		}
		return true
	}
	w.weight += s.weight
	start, valid, first := len(w.buf), true, true
	w.buf = append(w.buf, '{')
	for _, below := range s.nodes {
		mark := len(w.buf)
		if !first {
			w.buf = append(w.buf, ',')
		}
		w.buf = append(w.buf, below.key...)
		if !w.field(below, obj) {
			w.buf = append(w.buf, "null"...)
			valid = valid && !below.nonNull && !w.required
			w.required = false
		}
		if below.repeated {
			w.truncate(mark)
			continue
		}
		first = false
	}
	if !valid {
		w.truncate(start)
		return false
	}
	w.buf = append(w.buf, '}')
	return true
}

// collect adds a parent to a resolved field, or visits the fields below.
func (w *Writer) collect(n *Node, obj any) {
	depth := len(w.path)
	w.path = append(w.path, step{n, nothing})
	defer func() {
		_ = recover() // the second pass has the same panic, and reports it
		w.path = w.path[:depth]
	}()
	switch {
	case n.concurrent:
		st := &w.run.states[n.slot]
		st.parents = append(st.parents, obj)
		if n.tracked {
			st.chains = append(st.chains, w.chain(len(w.path)))
		}
	case n.stored:
		st := &w.run.states[n.slot]
		st.parents = append(st.parents, obj)
		st.results = append(st.results, w.call(n, st, obj))
		if res := &st.results[len(st.results)-1]; res.err == nil && res.value != nil && !st.refused {
			n.field.Value(w, n, res.value)
		}
	default:
		n.field.Inline(w, n, obj)
	}
}

// field writes a field of an object. It writes nothing for null, and returns false.
func (w *Writer) field(n *Node, obj any) (written bool) {
	switch {
	case n.typename != nil:
		w.buf = append(w.buf, n.typename...)
		return true
	case n.introspection != nil:
		return w.introspect(n)
	case n.denied != nil:
		w.deny(n)
		return false
	}
	mark, depth := len(w.buf), len(w.path)
	w.path = append(w.path, step{n, nothing})
	defer func() {
		if p := recover(); p != nil {
			w.path = w.path[:depth+1]
			w.truncate(mark)
			ctx := w.context()
			w.run.request.Error(ctx, w.run.request.Recover(ctx, p))
			written = false
		}
		w.path = w.path[:depth]
		if !written {
			w.truncate(mark)
		}
	}()
	switch {
	case n.concurrent || n.stored:
		return w.resolved(n, obj)
	case n.field.Inline != nil:
		return n.field.Inline(w, n, obj)
	}
	st := &state{}
	if n.slot >= 0 {
		st = &w.run.states[n.slot]
	}
	res := w.call(n, st, obj)
	if st.refused {
		return w.refuse(n)
	}
	return w.result(n, &res)
}

// deny reports that the caller may not read the field.
func (w *Writer) deny(n *Node) {
	if w.denials++; w.denials > maxDenials {
		return
	}
	w.path = append(w.path, step{n, nothing})
	w.run.reportError(w.context(), &result{err: n.denied})
	w.path = w.path[:len(w.path)-1]
}

// introspect writes a field that gqlgen's executor resolves: __schema or __type.
func (w *Writer) introspect(n *Node) bool {
	request := w.run.request
	ctx := graphql.WithOperationContext(w.run.ctx, &graphql.OperationContext{
		RawQuery: request.RawQuery, Variables: request.Variables, OperationName: request.OperationName, Doc: request.Doc, Headers: request.Headers,
		Operation: n.introspection, DisableIntrospection: request.DisableIntrospection, RecoverFunc: request.RecoverFunc,
		ResolverMiddleware: request.ResolverMiddleware, RootResolverMiddleware: request.RootResolverMiddleware,
	})
	response := w.run.schema.source.Schema.Exec(ctx)(ctx)
	value, ok := bytes.CutPrefix(response.Data, append([]byte{'{'}, n.key...))
	if !ok {
		w.required = true // its data is null as a whole
		return false
	}
	w.buf = append(w.buf, value[:len(value)-1]...)
	return true
}

func (w *Writer) call(n *Node, st *state, obj any) (res result) {
	if n.field.Args && w.run.fieldContext(n, st) == nil || st.refused {
		return result{}
	}
	if w.writing { // field recovers from panics
		res.value, res.err = n.field.Call(w.run.x, w.run.ctx, st.fc, obj)
		return res
	}
	defer func() {
		if p := recover(); p != nil {
			ctx := w.context()
			res = result{err: w.run.request.RecoverFunc(ctx, p), panicked: true}
		}
	}()
	res.value, res.err = n.field.Call(w.run.x, w.run.ctx, st.fc, obj)
	return res
}

// resolved writes the next result of a field that was resolved in the first pass.
func (w *Writer) resolved(n *Node, obj any) bool {
	st := &w.run.states[n.slot]
	i := st.cursor
	st.cursor++
	if i >= len(st.parents) || (n.object.Lasting && st.parents[i] != obj) {
		return w.result(n, &result{err: errChanged})
	}
	if st.refused {
		return w.refuse(n)
	}
	return w.result(n, &st.results[i])
}

// refuse reports arguments that cannot be decoded.
func (w *Writer) refuse(n *Node) bool {
	ctx := w.contextAt(len(w.path) - 1)
	_, _ = n.field.Context(w.run.x, ctx, n.collected) // reports the error
	return false
}

func (w *Writer) result(n *Node, res *result) bool {
	if res.err != nil {
		w.run.reportError(w.context(), res)
		w.required = res.required
		return false
	}
	if res.value == nil {
		if n.nonNull || res.required {
			w.missing("must not be null")
		}
		w.required = res.required
		return false
	}
	return n.field.Value(w, n, res.value)
}

func (w *Writer) chain(steps int) *graphql.FieldContext {
	at := w.base
	for _, s := range w.path[:steps] {
		if s.node == nil {
			at = &graphql.FieldContext{Parent: at, Index: &s.index}
			continue
		}
		at = &graphql.FieldContext{Parent: at, Object: s.node.object.Name, Field: s.node.collected}
	}
	return at
}

func (w *Writer) context() context.Context { return w.contextAt(len(w.path)) }

func (w *Writer) contextAt(steps int) context.Context {
	at := w.chain(steps)
	if at == &w.run.root {
		return w.run.ctx
	}
	parent := at.Parent
	ctx := graphql.WithFieldContext(w.run.ctx, at)
	at.Parent = parent
	return ctx
}

// truncate removes the end of the buffer after the mark, with its late errors.
func (w *Writer) truncate(mark int) {
	w.buf = w.buf[:mark]
	for len(w.late) > 0 && w.late[len(w.late)-1].at >= mark {
		w.late = w.late[:len(w.late)-1]
	}
}

// missing reports a null that the schema does not allow, unless the field has another error.
func (w *Writer) missing(message string) {
	ctx := w.context()
	if !graphql.HasFieldError(ctx, graphql.GetFieldContext(ctx)) {
		graphql.AddErrorf(ctx, "%s", message)
	}
}

// Missing reports a null where the schema does not allow one. It returns false.
func (w *Writer) Missing() bool {
	if w.writing {
		w.missing("the requested element is null which the schema does not allow")
	}
	return false
}

// Nil reports that an interface holds no value. It returns false.
func (w *Writer) Nil(n *Node) bool {
	if w.writing && n.nonNull {
		w.missing("must not be null")
	}
	return false
}

// Value returns a Field.Value that calls a function for the field's Go type.
func Value[T any](write func(*Writer, *Node, T) bool) func(*Writer, *Node, any) bool {
	return func(w *Writer, n *Node, v any) bool {
		t, ok := v.(T)
		if !ok {
			return w.unexpected(v, t)
		}
		return write(w, n, t)
	}
}

// StructValue returns a Field.Value that calls a function for an object that is stored by value.
func StructValue[T any](write func(*Writer, *Node, *T) bool) func(*Writer, *Node, any) bool {
	return Value(func(w *Writer, n *Node, t T) bool { return write(w, n, &t) })
}

// unexpected writes a value of another type than the field's, which a middleware may return.
func (w *Writer) unexpected(v, wanted any) bool {
	if !w.writing {
		return false
	}
	if m, ok := v.(graphql.Marshaler); ok {
		return w.Marshal(m)
	}
	graphql.AddErrorf(w.context(), "unexpected type %T from middleware/directive chain, should be %T", v, wanted)
	return false
}

// List writes a list. Items of a list of scalars have no path of their own, as in gqlgen.
func List[T any](w *Writer, n *Node, list []T, scalars, nonNull bool, item func(*Writer, *Node, T) bool) bool {
	l := startList(w, scalars, nonNull)
	if w.writing && !scalars {
		w.weight += n.weight * len(list)
	}
	for i := range list {
		l.item(i, func() bool { return item(w, n, list[i]) })
	}
	return l.end()
}

// Structs writes a list of objects that are stored by value.
func Structs[T any](w *Writer, n *Node, list []T, nonNull bool, item func(*Writer, *Node, *T) bool) bool {
	l := startList(w, false, nonNull)
	if w.writing {
		w.weight += n.weight * len(list)
	}
	for i := range list {
		l.item(i, func() bool { return item(w, n, &list[i]) })
	}
	return l.end()
}

// listing is the state of a list that is being written.
type listing struct {
	w        *Writer
	start    int
	scalars  bool
	nonNull  bool
	invalid  bool
	panicked bool
}

func startList(w *Writer, scalars, nonNull bool) listing {
	l := listing{w: w, start: len(w.buf), scalars: scalars, nonNull: nonNull}
	if w.writing {
		w.buf = append(w.buf, '[')
	}
	return l
}

func (l *listing) item(i int, write func() bool) {
	w := l.w
	if w.writing && i > 0 {
		w.buf = append(w.buf, ',')
	}
	if l.scalars {
		l.null(len(w.buf), write())
		return
	}
	mark, depth := len(w.buf), len(w.path)
	w.path = append(w.path, step{nil, i})
	defer func() {
		if p := recover(); p != nil {
			l.recovered(p, mark, depth)
		}
		w.path = w.path[:depth]
	}()
	l.null(mark, write())
}

func (l *listing) null(mark int, written bool) {
	if written || !l.w.writing {
		return
	}
	l.w.truncate(mark)
	l.w.buf = append(l.w.buf, "null"...)
	l.invalid = l.invalid || l.nonNull
}

// recovered reports a panic of one item. The list becomes empty, as in gqlgen.
func (l *listing) recovered(p any, mark, depth int) {
	w := l.w
	l.panicked = true
	if !w.writing {
		return
	}
	w.path = w.path[:depth+1]
	w.truncate(mark)
	ctx := w.context()
	graphql.AddError(ctx, graphql.Recover(ctx, p))
}

func (l *listing) end() bool {
	w := l.w
	switch {
	case !w.writing:
		return true
	case l.panicked:
		w.truncate(l.start)
		w.buf = append(w.buf, "[]"...)
		return true
	case l.invalid:
		w.truncate(l.start)
		return false
	}
	w.buf = append(w.buf, ']')
	return true
}
