package plan

import (
	"slices"
	"strings"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

const (
	maxNodes    = 20_000 // fields of a plan, counted for each type that may stand there
	maxVariants = 16     // plans of an operation
	maxSwitches = 16     // variables in @skip and @include
)

// Operation keeps the plans of one operation of a document, one for each combination of the booleans
// that choose fields. The zero value is ready; it fills itself as the operation is executed.
type Operation struct {
	read     sync.Once
	switches []string // the variables of @skip and @include
	rejected Outcome  // why it cannot be planned; "" when it can

	mu       sync.Mutex
	variants map[uint32]*plan
	nodes    int
}

// Nodes is how many fields its plans have so far, counted for each type that may stand there.
func (op *Operation) Nodes() int {
	op.mu.Lock()
	defer op.mu.Unlock()
	return op.nodes
}

// planOf finds or makes the plan for the request's booleans.
func (op *Operation) planOf(s *Schema, request *graphql.OperationContext) (*plan, Outcome) {
	op.read.Do(func() { op.prepare(request) })
	if op.rejected != "" {
		return nil, op.rejected
	}
	return op.variant(s, request)
}

// prepare looks for what decides how the operation is executed.
func (op *Operation) prepare(request *graphql.OperationContext) {
	op.variants = map[uint32]*plan{}
	if len(request.Operation.Directives) > 0 {
		op.rejected = Directive
		return
	}
	op.scan(request.Operation.SelectionSet, map[*ast.FragmentDefinition]bool{})
	if len(op.switches) > maxSwitches {
		op.reject(Variants)
	}
}

func (op *Operation) reject(why Outcome) {
	if op.rejected == "" {
		op.rejected = why
	}
}

func (op *Operation) scan(set ast.SelectionSet, seen map[*ast.FragmentDefinition]bool) {
	for _, selection := range set {
		switch s := selection.(type) {
		case *ast.Field:
			if strings.HasPrefix(s.Name, "__") && s.Name != "__typename" {
				op.reject(Introspection)
			}
			op.directives(s.Directives)
			op.scan(s.SelectionSet, seen)
		case *ast.InlineFragment:
			op.directives(s.Directives)
			op.scan(s.SelectionSet, seen)
		case *ast.FragmentSpread:
			op.directives(s.Directives)
			if !seen[s.Definition] {
				seen[s.Definition] = true
				op.directives(s.Definition.Directives)
				op.scan(s.Definition.SelectionSet, seen)
			}
		}
	}
}

func (op *Operation) directives(list ast.DirectiveList) {
	for _, d := range list {
		switch d.Name {
		case "skip", "include":
			condition := d.Arguments.ForName("if")
			if condition != nil && condition.Value.Kind == ast.Variable && !slices.Contains(op.switches, condition.Value.Raw) {
				op.switches = append(op.switches, condition.Value.Raw)
			}
		case "defer":
			op.reject(Deferral)
		default:
			op.reject(Directive)
		}
	}
}

// variant finds or compiles the plan for the request's booleans.
func (op *Operation) variant(s *Schema, request *graphql.OperationContext) (*plan, Outcome) {
	var key uint32
	for i, name := range op.switches {
		on, ok := request.Variables[name].(bool)
		if !ok {
			return nil, Variants // gqlgen says what is wrong with it
		}
		if on {
			key |= 1 << i
		}
	}
	op.mu.Lock()
	defer op.mu.Unlock()
	if p, known := op.variants[key]; known {
		return p, p.outcome
	}
	if len(op.variants) == maxVariants {
		return nil, Variants
	}
	p, nodes := compile(s, request)
	op.variants[key] = p
	op.nodes += nodes
	return p, p.outcome
}

// plan is what to do for one operation.
type plan struct {
	root    *Node // stands for the operation; its selection is that of Query
	slots   []*Node
	loads   []*levelLoad
	outcome Outcome
	runs    sync.Pool
}

// levelLoad is one loader at one level.
type levelLoad struct {
	loader anyLoader
	level  int
	askers []*Node
}

// Node is a field in a plan: where it stands, and what is below it.
type Node struct {
	key       []byte // "alias":
	typename  []byte // the answer to __typename; nil for other fields
	field     *Field
	object    *Type
	collected graphql.CollectedField
	chain     *graphql.FieldContext // contexts of this field and those above, without indices
	below     []*selection          // by the object's type

	weight     int // of each item, when the field is a list of objects
	nonNull    bool
	repeated   bool // the response key was taken by a field before: answered, not shown
	concurrent bool
	stored     bool // answered in the first pass, because fields below are resolved
	slot       int  // its state in a run; -1 without
	level      int  // how many concurrent fields are above
	next       []*Node
	reference  Reference
	loads      []int
	tracked    bool // contexts are kept for each of its parents
}

// selection is what is asked of an object of one type.
type selection struct {
	id    TypeID
	nodes []*Node
	deep  []*Node // those that are resolved, or have something resolved below

	weight int // of its fields, but for lists of objects
}

type compiler struct {
	schema  *Schema
	request *graphql.OperationContext
	plan    *plan
	count   int
}

func compile(s *Schema, request *graphql.OperationContext) (p *plan, nodes int) {
	p = &plan{outcome: Planned}
	c := &compiler{schema: s, request: request, plan: p}
	id := s.source.Query
	if request.Operation.Operation == ast.Subscription {
		id = s.source.Subscription
	}
	chain := &graphql.FieldContext{Object: s.source.Types[id].Name}
	p.root = &Node{slot: -1, chain: chain}
	root := c.selection(p.root, id, request.Operation.SelectionSet, 0)
	p.root.below = []*selection{root}
	p.root.next = concurrentOf(root)
	if request.Operation.Operation == ast.Subscription && !streams(root) {
		c.reject(Unsupported) // gqlgen says what is wrong with it
	}
	p.runs.New = func() any { return newRun(s, p) }
	return p, c.count
}

// streams says whether the selection is one stream of events.
func streams(root *selection) bool {
	return len(root.nodes) == 1 && root.nodes[0].field != nil && root.nodes[0].field.Receive != nil
}

func (c *compiler) reject(why Outcome) {
	if c.plan.outcome == Planned {
		c.plan.outcome = why
	}
}

func (c *compiler) selection(above *Node, id TypeID, set ast.SelectionSet, level int) *selection {
	object := &c.schema.source.Types[id]
	fields := graphql.CollectFields(c.request, set, object.Satisfies)
	s := &selection{id: id, nodes: make([]*Node, 0, len(fields))}
	taken := map[string]bool{}
	for _, collected := range fields {
		if c.count++; c.count > maxNodes {
			c.reject(Size)
			return s
		}
		n := c.node(above, object, collected, level)
		if n == nil {
			return s
		}
		n.repeated = taken[collected.Alias]
		taken[collected.Alias] = true
		s.nodes = append(s.nodes, n)
		c.weigh(s, n)
		if n.concurrent || len(n.next) > 0 {
			s.deep = append(s.deep, n)
		}
	}
	return s
}

// weigh tells what the node costs: a list of objects its items, anything else each time.
func (c *compiler) weigh(s *selection, n *Node) {
	if n.field == nil {
		return // __typename
	}
	weight := c.schema.weight(n.collected.Definition)
	if n.collected.Definition.Type.Elem != nil && len(n.field.Results) > 0 {
		n.weight = weight
		return
	}
	s.weight += weight
}

func (c *compiler) node(above *Node, object *Type, collected graphql.CollectedField, level int) *Node {
	n := &Node{
		key:       append(AppendString(nil, collected.Alias), ':'),
		object:    object,
		collected: collected,
		slot:      -1,
		level:     level,
		chain:     &graphql.FieldContext{Parent: above.chain, Object: object.Name, Field: collected},
	}
	if collected.Name == "__typename" {
		n.typename = AppendString(nil, object.Name)
		return n
	}
	n.field = object.Fields[collected.Name]
	switch {
	case n.field == nil:
		c.reject(Unsupported)
		return nil
	case n.field.Unplanned != "":
		c.reject(n.field.Unplanned)
		return nil
	}
	n.nonNull, n.concurrent = n.field.NonNull, n.field.Concurrent
	if n.concurrent {
		n.reference = c.schema.references[n.field]
		level++
	}
	for _, id := range n.field.Results {
		s := c.selection(n, id, collected.Selections, level)
		n.below = append(n.below, s)
		n.next = append(n.next, concurrentOf(s)...)
	}
	c.place(n)
	return n
}

// place gives the node its state in a run, and its loads.
func (c *compiler) place(n *Node) {
	n.stored = !n.concurrent && len(n.next) > 0 && (n.field.Method || n.field.Inline == nil)
	n.tracked = n.concurrent && n.level > 0 && (n.reference == nil || n.reference.wantsContext())
	for _, below := range n.next {
		n.tracked = n.tracked || below.tracked
	}
	if n.concurrent || n.stored || n.field.Args {
		n.slot = len(c.plan.slots)
		c.plan.slots = append(c.plan.slots, n)
	}
	if n.reference == nil {
		return
	}
	for _, loader := range n.reference.loaders() {
		n.loads = append(n.loads, c.load(loader, n))
	}
}

func (c *compiler) load(loader anyLoader, n *Node) int {
	i := slices.IndexFunc(c.plan.loads, func(l *levelLoad) bool { return l.loader == loader && l.level == n.level })
	if i < 0 {
		i = len(c.plan.loads)
		c.plan.loads = append(c.plan.loads, &levelLoad{loader: loader, level: n.level})
	}
	c.plan.loads[i].askers = append(c.plan.loads[i].askers, n)
	return i
}

// concurrentOf lists the nearest resolved fields of a selection.
func concurrentOf(s *selection) []*Node {
	var nearest []*Node
	for _, n := range s.deep {
		if n.concurrent {
			nearest = append(nearest, n)
			continue
		}
		nearest = append(nearest, n.next...)
	}
	return nearest
}

// selectionOf finds what is asked of an object of the type.
func (n *Node) selectionOf(id TypeID) *selection {
	for _, s := range n.below {
		if s.id == id {
			return s
		}
	}
	return nil
}
