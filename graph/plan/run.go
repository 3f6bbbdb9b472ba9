package plan

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/sluicehq/sluice/internal/stack"
)

// maxCallers bounds the fan-out over the parents of one field of a plan, in goroutines.
const maxCallers = 128

// maxPooledBuffer is the size of the largest buffer that is pooled for the next run, in bytes.
const maxPooledBuffer = 1 << 20

// run is one execution of a plan. The goroutine of the request runs tasks from its queue. Further goroutines start
// only when several tasks block: each runs a task, then locks the run and processes the queue. So the goroutine of
// the request is woken once, not once per task.
type run struct {
	schema  *Schema
	plan    *plan
	request *graphql.OperationContext
	x       any             // gqlgen's execution context
	ctx     context.Context // with the root's field context
	scratch context.Context // the same, but errors are discarded
	root    graphql.FieldContext
	writer  Writer
	states  []state
	loads   []anyLoad
	missing []int // by load: the number of fields that have not enqueued their keys

	mu       sync.Mutex // its holder owns the run
	ready    []task     // the queue of tasks that can start
	parked   []int      // batches that have ended, but borrow entries that are not fetched yet
	inflight int
	broken   any           // the value of a panic in a task's ended
	done     chan struct{} // receives a value when no task is in flight any more
}

// task is work that blocks.
type task interface {
	do()    // without the run's lock
	ended() // afterwards, with the run's lock
}

// state is the state of one field of the plan in a run: a result for each parent.
type state struct {
	parents  []any
	chains   []*graphql.FieldContext // the field's context at each parent; only for tracked fields
	results  []result
	at       []int32 // the entries of the load
	prepared any     // what a reference stores between enqueue and finish
	fc       *graphql.FieldContext
	refused  bool // the arguments cannot be decoded
	pending  int  // loads, or callers
	cursor   int  // the number of results that are written
}

// result is the result of a field for one parent.
type result struct {
	value    any
	err      error
	panicked bool // err is the error of a panic
	required bool // a middleware declared the field non-null
}

// written is the outcome of a run: the JSON of the root object, or "null" if it is not valid.
type written struct {
	data   []byte
	valid  bool
	late   []lateError
	weight int
}

func newRun(s *Schema, p *plan) *run {
	r := &run{
		schema:  s,
		plan:    p,
		states:  make([]state, len(p.slots)),
		missing: make([]int, len(p.loads)),
		done:    make(chan struct{}, 1),
	}
	r.writer.run = r
	for _, spec := range p.loads {
		r.loads = append(r.loads, spec.loader.newLoad())
	}
	for i, spec := range p.loads {
		for j, other := range p.loads {
			if other.loader == spec.loader && other.level < spec.level {
				r.loads[i].follow(r.loads[j])
			}
		}
	}
	return r
}

func (s *Schema) execute(ctx context.Context, request *graphql.OperationContext, p *plan) *graphql.Response {
	resolve := func(r *run, n *Node) { r.start(n) }
	if request.Operation.Operation != ast.Mutation {
		w := s.run(ctx, request, p, resolve)
		if !p.introspects { // the cost of introspection is an estimate, which stays charged
			s.options.Spent(ctx, w.weight)
		}
		return w.response()
	}
	all := written{data: []byte{'{'}, valid: true}
	for _, field := range p.serial {
		w := s.run(ctx, request, field, resolve)
		if len(all.data) > 1 {
			all.data = append(all.data, ',')
		}
		if all.valid = all.valid && w.valid; all.valid {
			all.data = append(all.data, w.data[1:len(w.data)-1]...) // without its braces
		}
		all.late = append(all.late, w.late...)
		all.weight += w.weight
	}
	all.data = append(all.data, '}')
	if !all.valid {
		all.data, all.late = []byte("null"), nil
	}
	s.options.Spent(ctx, all.weight)
	return all.response()
}

// response reports the errors of scalars, and returns the data.
func (w written) response() *graphql.Response {
	for _, late := range w.late {
		graphql.AddError(late.ctx, late.err)
	}
	return &graphql.Response{Data: json.RawMessage(w.data)}
}

func (s *Schema) run(ctx context.Context, request *graphql.OperationContext, p *plan, begin func(*run, *Node)) written {
	r := p.runs.Get().(*run)
	r.request, r.x = request, s.source.Begin(request)
	if s.source.Inputs != nil {
		ctx = s.source.Inputs(ctx)
	}
	r.root = graphql.FieldContext{Object: p.root.chain.Object}
	r.ctx = graphql.WithFieldContext(ctx, &r.root)
	r.resolve(begin)
	w := r.writer.write(p)
	r.reset()
	p.runs.Put(r)
	return w
}

func (r *run) resolve(begin func(*run, *Node)) {
	for i, spec := range r.plan.loads {
		r.missing[i] = len(spec.fields)
	}
	stack.Grow()
	r.mu.Lock()
	r.writer.visit(r.plan.root, &r.root, nil)
	for _, n := range r.plan.root.next {
		begin(r, n)
	}
	r.work()
	waiting := r.inflight > 0
	r.mu.Unlock()
	if waiting {
		<-r.done
	}
	if r.broken != nil {
		panic(r.broken)
	}
}

// work runs the tasks of the queue until it is empty. The run's lock is held before and after.
func (r *run) work() {
	for len(r.ready) > 0 {
		own := r.ready[0]
		for _, t := range r.ready[1:] {
			go r.help(t)
		}
		r.inflight += len(r.ready)
		clear(r.ready)
		r.ready = r.ready[:0]
		r.mu.Unlock()
		own.do()
		r.mu.Lock()
		r.finish(own)
	}
}

func (r *run) help(t task) {
	stack.Grow()
	t.do()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.finish(t)
	r.work()
	if r.inflight == 0 { // the goroutine of the request has no task either
		r.done <- struct{}{}
	}
}

// finish processes the results of a task. If that panics, the goroutine of the request panics.
func (r *run) finish(t task) {
	r.inflight--
	if r.broken != nil {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			r.broken = fmt.Sprintf("%v\n%s", p, debug.Stack())
			clear(r.ready)
			r.ready = r.ready[:0]
		}
	}()
	t.ended()
}

// start asks a field, all of whose parents are known.
func (r *run) start(n *Node) {
	st := &r.states[n.slot]
	st.results = grow(st.results, len(st.parents))
	if n.reference != nil {
		r.startReference(n, st)
		return
	}
	if len(st.parents) == 0 {
		r.descend(n, st)
		return
	}
	r.fieldContext(n, st)
	if st.refused {
		r.descend(n, st)
		return
	}
	c := &calls{run: r, node: n, state: st}
	st.pending = min(len(st.parents), maxCallers)
	for range st.pending {
		r.ready = append(r.ready, c)
	}
}

func (r *run) startReference(n *Node, st *state) {
	st.at = grow(st.at, len(st.parents))
	for i := range st.at {
		st.at[i] = nothing
	}
	if len(st.parents) > 0 {
		if n.field.Args {
			r.fieldContext(n, st)
		}
		if !st.refused {
			n.reference.enqueue(r, n, st)
		}
	}
	st.pending = len(n.loads)
	for _, i := range n.loads {
		r.missing[i]--
	}
	for _, i := range n.loads {
		if r.missing[i] == 0 {
			r.missing[i] = nothing // it is started once, though a field may use it twice
			r.startLoad(i)
		}
	}
}

// startLoad queues a load when no field can add keys to its batch any more.
func (r *run) startLoad(i int) {
	t := &loading{run: r, index: i}
	if r.loads[i].empty() {
		t.ended()
		return
	}
	r.ready = append(r.ready, t)
}

// loading is the task that fetches a batch.
type loading struct {
	run   *run
	index int
}

func (t *loading) do() {
	l := t.run.loads[t.index]
	ctx := t.run.ctx
	if trace := t.run.schema.options.Trace; trace != nil {
		traced, end := trace(ctx, LoaderCall{l.name(), l.size(), t.run, t.index})
		defer end()
		ctx = traced
	}
	l.fetch(ctx)
}

func (t *loading) ended() {
	r := t.run
	r.settle(t.index)
	for {
		i := slices.IndexFunc(r.parked, func(load int) bool { return !r.loads[load].isIncomplete() })
		if i < 0 {
			return
		}
		load := r.parked[i]
		r.parked = slices.Delete(r.parked, i, i+1)
		r.settle(load)
	}
}

// settle passes a load's entries to the fields that enqueued the keys. The load is parked while it waits for an
// earlier level.
func (r *run) settle(load int) {
	if r.loads[load].isIncomplete() {
		r.parked = append(r.parked, load)
		return
	}
	r.loads[load].finish()
	for _, n := range r.plan.loads[load].fields {
		st := &r.states[n.slot]
		if st.pending--; st.pending > 0 {
			continue
		}
		if len(st.parents) > 0 && !st.refused {
			n.reference.finish(r, n, st)
		}
		r.descend(n, st)
	}
}

// calls is the fan-out of a resolver: the task that calls it once for each parent.
type calls struct {
	run   *run
	node  *Node
	state *state
	next  atomic.Int64
}

func (c *calls) do() {
	for {
		i := int(c.next.Add(1)) - 1
		if i >= len(c.state.parents) {
			return
		}
		c.call(i)
	}
}

func (c *calls) call(i int) {
	r, n, res := c.run, c.node, &c.state.results[i]
	ctx, fc := r.contextFor(n, c.state, i)
	defer func() {
		if p := recover(); p != nil {
			*res = result{err: r.request.RecoverFunc(ctx, p), panicked: true}
		}
	}()
	res.value, res.err = r.request.ResolverMiddleware(ctx, func(inner context.Context) (any, error) {
		return n.field.Call(r.x, inner, fc, c.state.parents[i])
	})
	res.required = fc.NonNull
}

func (c *calls) ended() {
	if c.state.pending--; c.state.pending == 0 {
		c.run.descend(c.node, c.state)
	}
}

// descend collects the parents of the fields below, and starts those fields.
func (r *run) descend(n *Node, st *state) {
	if len(n.next) == 0 {
		return
	}
	for i := range st.results {
		if res := &st.results[i]; res.err == nil && res.value != nil && !st.refused {
			var chain *graphql.FieldContext
			if n.tracked {
				chain = st.chains[i]
			}
			r.writer.visit(n, chain, res.value)
		}
	}
	for _, below := range n.next {
		r.start(below)
	}
}

// each calls a function for every parent without an error. An error or a panic is that parent's result.
func (r *run) each(n *Node, st *state, do func(i int) error) {
	for i := 0; i < len(st.parents); i++ {
		i = r.eachFrom(n, st, i, do)
	}
}

func (r *run) eachFrom(n *Node, st *state, from int, do func(i int) error) (i int) {
	defer func() {
		if p := recover(); p != nil {
			ctx := graphql.WithFieldContext(r.ctx, &graphql.FieldContext{Object: n.object.Name, Field: n.collected})
			st.results[i] = result{err: r.request.RecoverFunc(ctx, p), panicked: true}
		}
	}()
	for i = from; i < len(st.parents); i++ {
		if st.results[i].err == nil {
			st.results[i].err = do(i)
		}
	}
	return i
}

// fieldContext creates a field's context and decodes its arguments once. The second pass reports invalid arguments at
// each parent.
func (r *run) fieldContext(n *Node, st *state) *graphql.FieldContext {
	if st.fc != nil {
		return st.fc
	}
	if r.scratch == nil {
		r.scratch = graphql.WithFreshResponseContext(r.ctx)
	}
	fc, err := n.field.Context(r.x, r.scratch, n.collected)
	st.fc, st.refused = fc, err != nil || fc == nil
	return st.fc
}

func (r *run) contextFor(n *Node, st *state, i int) (context.Context, *graphql.FieldContext) {
	fc := *st.fc
	base := r.ctx
	if n.level == 0 {
		base = graphql.WithRootFieldContext(base, &graphql.RootFieldContext{Object: n.collected.Name, Field: n.collected})
	}
	ctx := graphql.WithFieldContext(base, &fc)
	if n.tracked {
		fc.Parent = st.chains[i].Parent
	}
	return ctx, &fc
}

// reportError reports a field's error at its path, as gqlgen's resolveField does.
func (r *run) reportError(ctx context.Context, res *result) {
	if res.panicked {
		r.request.Error(ctx, graphql.ErrorOnPath(ctx, res.err))
		return
	}
	err := res.err
	if shared, ok := errors.AsType[*gqlerror.Error](err); ok && error(shared) == err {
		own := *shared // fields of one load share an error, and each sets its own path
		err = &own
	}
	r.request.Error(ctx, graphql.AddFieldLocationToError(ctx, err))
}

// reset clears the request's state, and retains its buffers.
func (r *run) reset() {
	for i := range r.states {
		st := &r.states[i]
		clear(st.parents)
		clear(st.chains)
		clear(st.results)
		*st = state{parents: st.parents[:0], chains: st.chains[:0], results: st.results[:0], at: st.at[:0]}
	}
	for _, l := range r.loads {
		l.reset()
	}
	r.request, r.x, r.ctx, r.scratch, r.root = nil, nil, nil, nil, graphql.FieldContext{}
	r.writer.reset()
}

// grow returns a slice of n zero values, which reuses the memory of s when it is large enough.
func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	s = s[:n]
	clear(s)
	return s
}
