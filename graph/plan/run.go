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
)

// maxCallers is how many goroutines call the resolvers of one field of a plan.
const maxCallers = 128

// keptBuffer is the largest buffer that is kept for the next run, in bytes.
const keptBuffer = 1 << 20

// run is a plan being executed. The goroutine that asked for it works on it, and others help as long
// as there is more to wait for than one: each does a task, and then takes the run for a moment to see
// what has become possible. So the one that waits is woken once, not once a task.
type run struct {
	schema  *Schema
	plan    *plan
	request *graphql.OperationContext
	x       any             // gqlgen's execution context
	ctx     context.Context // stands at the root
	scratch context.Context // the same, with errors going nowhere
	root    graphql.FieldContext
	writer  Writer
	states  []state
	loads   []anyLoad
	missing []int // by load: how many fields have not asked yet

	mu       sync.Mutex // whoever holds it owns the run
	ready    []task
	parked   []int // loads that have ended, but for what they borrow
	inflight int
	broken   any           // what ended panicked with
	done     chan struct{} // told when nothing is in flight any more
}

// task is work that blocks.
type task interface {
	do()    // by whoever has time
	ended() // by who owns the run then
}

// state is what a run knows of one field of the plan: a result for each parent.
type state struct {
	parents  []any
	chains   []*graphql.FieldContext // where each parent's field stands; only for tracked fields
	results  []result
	at       []int32 // the entries of the load
	prepared any     // what a reference keeps between ask and finish
	fc       *graphql.FieldContext
	refused  bool // the arguments cannot be read
	pending  int  // loads, or callers
	cursor   int  // how many results are written
}

// result is what a field gave for one parent.
type result struct {
	value    any
	err      error
	panicked bool // err comes of a panic
	required bool // a middleware said that the field may not be null
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

// execute runs the plan and gives the answer.
func (s *Schema) execute(ctx context.Context, request *graphql.OperationContext, p *plan) *graphql.Response {
	return s.run(ctx, request, p, func(r *run, n *Node) { r.start(n) })
}

// run runs the plan from its root fields on, with each of which begin does something.
func (s *Schema) run(ctx context.Context, request *graphql.OperationContext, p *plan, begin func(*run, *Node)) *graphql.Response {
	r := p.runs.Get().(*run)
	r.request, r.x = request, s.source.Begin(request)
	if s.source.Inputs != nil {
		ctx = s.source.Inputs(ctx)
	}
	r.root = graphql.FieldContext{Object: p.root.chain.Object}
	r.ctx = graphql.WithFieldContext(ctx, &r.root)
	r.resolve(begin)
	data := r.writer.write(p)
	if request.Operation.Operation == ast.Query {
		s.spent(ctx, r.writer.weight)
	}
	r.reset()
	p.runs.Put(r)
	return &graphql.Response{Data: json.RawMessage(data)}
}

// resolve is the first pass. A run that panics is not used again.
func (r *run) resolve(begin func(*run, *Node)) {
	for i, spec := range r.plan.loads {
		r.missing[i] = len(spec.askers)
	}
	room(0)
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

// work does what is ready, and what becomes ready, until there is nothing. Whoever calls it owns the
// run, before and after.
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
		r.ended(own)
	}
}

// help does a task, and goes on with what has become ready.
func (r *run) help(t task) {
	room(0)
	t.do()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended(t)
	r.work()
	if r.inflight == 0 { // who asked for the run has nothing to do either
		r.done <- struct{}{}
	}
}

// ended takes note of what a task has done. Should that panic, the run comes to its end, and panics
// where it was asked for.
func (r *run) ended(t task) {
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

// stack is how deep a call to a service goes, in bytes, with room to spare.
const stack = 12 << 10

// room grows the stack of a goroutine before it gets deep. A call to a service would do it several
// times, and take along all frames that there are by then: a tenth of what a request costs.
//
//go:noinline
func room(at int) byte {
	var frame [stack]byte
	return frame[at]
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
			n.reference.ask(r, n, st)
		}
	}
	st.pending = len(n.loads)
	for _, i := range n.loads {
		r.missing[i]--
	}
	for _, i := range n.loads {
		if r.missing[i] == 0 {
			r.missing[i] = nothing // it is started once, though a field may ask it twice
			r.fire(i)
		}
	}
}

// fire starts a load that nobody can ask any more.
func (r *run) fire(i int) {
	t := &loading{run: r, index: i}
	if r.loads[i].empty() {
		t.ended()
		return
	}
	r.ready = append(r.ready, t)
}

// loading is a load under way.
type loading struct {
	run   *run
	index int
}

func (t *loading) do() {
	l := t.run.loads[t.index]
	ctx := t.run.ctx
	if trace := t.run.schema.trace; trace != nil {
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
		i := slices.IndexFunc(r.parked, func(load int) bool { return !r.loads[load].lacking() })
		if i < 0 {
			return
		}
		load := r.parked[i]
		r.parked = slices.Delete(r.parked, i, i+1)
		r.settle(load)
	}
}

// settle hands a load's entries to those who asked for them; it is parked while it lacks what a load
// of a level before was asked.
func (r *run) settle(load int) {
	if r.loads[load].lacking() {
		r.parked = append(r.parked, load)
		return
	}
	r.loads[load].finish()
	for _, n := range r.plan.loads[load].askers {
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

// calls calls a resolver once a parent.
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

// descend looks for the parents of the fields below, and asks those fields.
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

// each does something for every parent that has not failed; an error or a panic is its own.
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

// fieldContext makes a field's context and reads its arguments, once. Those that cannot be read are
// reported in the second pass, at each parent's place.
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

// contextFor gives a context that stands at the field of one parent.
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

// fail reports a field's error where it belongs, as gqlgen's resolveField does.
func (r *run) fail(ctx context.Context, res *result) {
	if res.panicked {
		r.request.Error(ctx, graphql.ErrorOnPath(ctx, res.err))
		return
	}
	err := res.err
	if shared, ok := errors.AsType[*gqlerror.Error](err); ok && error(shared) == err {
		own := *shared // a load gives many fields the same error, which is given a path below
		err = &own
	}
	r.request.Error(ctx, graphql.AddFieldLocationToError(ctx, err))
}

// reset forgets the request, but keeps the memory.
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

// grow gives a slice of n zero values, in place where there is room.
func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	s = s[:n]
	clear(s)
	return s
}
