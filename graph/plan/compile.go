package plan

import (
	"slices"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

const (
	maxNodes      = 20_000 // fields of a plan, counted for each type that may be their parent
	maxVariants   = 16     // plans of an operation
	maxConditions = 16     // variables in @skip and @include
)

// Operation stores the plans of one operation, one for each combination of the booleans in @skip and @include. The
// zero value is ready; plans are compiled at their first execution.
type Operation struct {
	read       sync.Once
	conditions []string // the variables of @skip and @include
	rejected   Outcome  // why it cannot be planned; "" when it can

	mu       sync.Mutex
	variants map[variant]*plan
	partial  int // variants with denied fields
	nodes    int
}

// variant is what the plans of one operation differ in.
type variant struct {
	conditions uint32
	denied     string
}

// Nodes returns the number of fields of its plans, counted for each type that may be their parent.
func (op *Operation) Nodes() int {
	op.mu.Lock()
	defer op.mu.Unlock()
	return op.nodes
}

func (op *Operation) planOf(s *Schema, request *graphql.OperationContext, denials Denials) (*plan, Outcome) {
	op.read.Do(func() { op.prepare(request) })
	if op.rejected != "" {
		return nil, op.rejected
	}
	key := variant{denied: denials.Key}
	for i, name := range op.conditions {
		on, ok := request.Variables[name].(bool)
		if !ok {
			return nil, Condition
		}
		if on {
			key.conditions |= 1 << i
		}
	}
	op.mu.Lock()
	defer op.mu.Unlock()
	if p, known := op.variants[key]; known {
		return p, p.outcome
	}
	isPartial := key.denied != ""
	if !isPartial && len(op.variants)-op.partial == maxVariants {
		return nil, Variants
	}
	c := &compiler{schema: s, request: request, denied: denials.Fields}
	p := c.compile()
	if isPartial && op.partial == maxVariants {
		return p, p.outcome // callers choose the scopes of their keys: the plan is not stored
	}
	if isPartial {
		op.partial++
	}
	op.variants[key] = p
	op.nodes += c.nodes
	return p, p.outcome
}

// prepare scans the operation for its conditions, and for what prevents a plan.
func (op *Operation) prepare(request *graphql.OperationContext) {
	op.variants = map[variant]*plan{}
	if len(request.Operation.Directives) > 0 {
		op.rejected = Directive
		return
	}
	op.scan(request.Operation.SelectionSet, map[*ast.FragmentDefinition]bool{})
	if len(op.conditions) > maxConditions {
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
			op.scanDirectives(s.Directives)
			op.scan(s.SelectionSet, seen)
		case *ast.InlineFragment:
			op.scanDirectives(s.Directives)
			op.scan(s.SelectionSet, seen)
		case *ast.FragmentSpread:
			op.scanDirectives(s.Directives)
			if !seen[s.Definition] {
				seen[s.Definition] = true
				op.scanDirectives(s.Definition.Directives)
				op.scan(s.Definition.SelectionSet, seen)
			}
		}
	}
}

func (op *Operation) scanDirectives(list ast.DirectiveList) {
	for _, d := range list {
		switch d.Name {
		case "skip", "include":
			condition := d.Arguments.ForName("if")
			if condition != nil && condition.Value.Kind == ast.Variable && !slices.Contains(op.conditions, condition.Value.Raw) {
				op.conditions = append(op.conditions, condition.Value.Raw)
			}
		case "defer":
			op.reject(Deferral)
		default:
			op.reject(Directive)
		}
	}
}

// plan is the compiled form of one operation of the schema.
type plan struct {
	root    *Node // represents the operation; its selection is that of the root type
	slots   []*Node
	loads   []*levelLoad
	outcome Outcome
	// serial are the root fields of a mutation, a plan each.
	serial []*plan
	// introspects: gqlgen's executor resolves one of the root fields.
	introspects bool
	runs        sync.Pool
}

// levelLoad is the batch of one loader at one level, with the fields that queue keys for it.
type levelLoad struct {
	loader anyLoader
	level  int
	fields []*Node
}

// Node is a field in a plan.
type Node struct {
	key       []byte // "alias":
	typename  []byte // the value of __typename; nil for other fields
	field     *Field
	object    *Type
	collected graphql.CollectedField
	chain     *graphql.FieldContext // contexts of this field and those above, without indices
	below     []*selection          // by the object's type

	introspection *ast.OperationDefinition // selects nothing but this field; nil for other fields
	denied        error                    // why the caller may not read the field; nil if it may

	weight     int // of each item, when the field is a list of objects
	nonNull    bool
	repeated   bool // an earlier field has the same response key: resolved, but not written
	concurrent bool
	stored     bool // resolved in the first pass, because fields below it are resolved there
	slot       int  // the index of its state in a run; -1 without
	level      int  // the number of concurrent fields above
	next       []*Node
	reference  Reference
	loads      []int
	tracked    bool // a run stores the context of each of its parents
}

// selection is the selection set of an object of one type.
type selection struct {
	id    TypeID
	nodes []*Node
	deep  []*Node // those that are resolved, or have a resolved field below

	weight int // of its fields, without lists of objects
}

type compiler struct {
	schema  *Schema
	request *graphql.OperationContext
	denied  map[string]error // by "Type.field"
	plan    *plan
	nodes   int
	outcome Outcome
}

func (c *compiler) compile() *plan {
	c.outcome = Planned
	source := &c.schema.source
	id := source.Query
	switch c.request.Operation.Operation {
	case ast.Subscription:
		id = source.Subscription
	case ast.Mutation:
		id = source.Mutation
	}
	root := &source.Types[id]
	fields := graphql.CollectFields(c.request, c.request.Operation.SelectionSet, root.Satisfies)
	p := &plan{}
	if c.request.Operation.Operation == ast.Mutation {
		for i := range fields {
			p.serial = append(p.serial, c.compileRoot(id, fields[i:i+1]))
		}
	} else {
		p = c.compileRoot(id, fields)
	}
	p.outcome = c.outcome
	return p
}

func (c *compiler) compileRoot(id TypeID, fields []graphql.CollectedField) *plan {
	p := &plan{root: &Node{slot: -1, chain: &graphql.FieldContext{Object: c.schema.source.Types[id].Name}}}
	p.runs.New = func() any { return newRun(c.schema, p) }
	c.plan = p
	root := c.selection(p.root, id, fields, 0)
	p.root.below = []*selection{root}
	p.root.next = nearestConcurrent(root)
	p.introspects = slices.ContainsFunc(root.nodes, func(n *Node) bool { return n.introspection != nil })
	hasData := slices.ContainsFunc(root.nodes, func(n *Node) bool { return n.field != nil || n.denied != nil })
	switch {
	case p.introspects && !hasData:
		c.reject(Introspection)
	case c.request.Operation.Operation == ast.Subscription && (len(root.nodes) != 1 || !hasData || root.nodes[0].field.Receive == nil):
		c.reject(Unsupported) // gqlgen reports what is wrong with it
	}
	return p
}

func (c *compiler) reject(why Outcome) {
	if c.outcome == Planned {
		c.outcome = why
	}
}

func (c *compiler) selection(above *Node, id TypeID, fields []graphql.CollectedField, level int) *selection {
	object := &c.schema.source.Types[id]
	s := &selection{id: id, nodes: make([]*Node, 0, len(fields))}
	taken := map[string]bool{}
	for _, collected := range fields {
		if c.nodes++; c.nodes > maxNodes {
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
		c.addWeight(s, n)
		if n.concurrent || len(n.next) > 0 {
			s.deep = append(s.deep, n)
		}
	}
	return s
}

// addWeight sets the cost of the node: a list of objects costs each of its items, other fields cost once.
func (c *compiler) addWeight(s *selection, n *Node) {
	if n.field == nil {
		return // __typename, introspection, or denied
	}
	weight := c.schema.options.Weight(n.collected.Definition)
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
	switch collected.Name {
	case "__typename":
		n.typename = AppendString(nil, object.Name)
		return n
	case "__schema", "__type":
		field := *collected.Field
		field.SelectionSet, field.Directives = collected.Selections, nil
		n.introspection = &ast.OperationDefinition{Operation: ast.Query, SelectionSet: ast.SelectionSet{&field}}
		return n
	}
	if n.denied = c.denialOf(object, collected); n.denied != nil {
		n.nonNull = collected.Definition.Type.NonNull
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
		n.reference = c.schema.byField[n.field]
		level++
	}
	for _, id := range n.field.Results {
		fields := graphql.CollectFields(c.request, collected.Selections, c.schema.source.Types[id].Satisfies)
		s := c.selection(n, id, fields, level)
		n.below = append(n.below, s)
		n.next = append(n.next, nearestConcurrent(s)...)
	}
	c.allocate(n)
	return n
}

// denialOf returns why the field is denied: by the rule of its object, or of the interface that selects it.
func (c *compiler) denialOf(object *Type, collected graphql.CollectedField) error {
	if len(c.denied) == 0 {
		return nil
	}
	if err := c.denied[object.Name+"."+collected.Name]; err != nil {
		return err
	}
	return c.denied[collected.ObjectDefinition.Name+"."+collected.Name]
}

func (c *compiler) allocate(n *Node) {
	n.stored = !n.concurrent && len(n.next) > 0 && (n.field.Method || n.field.Inline == nil)
	n.tracked = n.concurrent && n.level > 0 && (n.reference == nil || n.reference.needsContext())
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
		i := slices.IndexFunc(c.plan.loads, func(l *levelLoad) bool { return l.loader == loader && l.level == n.level })
		if i < 0 {
			i = len(c.plan.loads)
			c.plan.loads = append(c.plan.loads, &levelLoad{loader: loader, level: n.level})
		}
		c.plan.loads[i].fields = append(c.plan.loads[i].fields, n)
		n.loads = append(n.loads, i)
	}
}

func nearestConcurrent(s *selection) []*Node {
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

// selectionOf returns the selection set of an object of the type; nil when the field has no such type.
func (n *Node) selectionOf(id TypeID) *selection {
	for _, s := range n.below {
		if s.id == id {
			return s
		}
	}
	return nil
}
