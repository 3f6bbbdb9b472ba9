package document

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/sluicehq/sluice/internal/errs"
)

// introspection is the cost of __schema and __type, whose responses are large.
const introspection = 100

// unpayable is the cost at which counting stops: a product of list sizes has no bound.
const unpayable = 1 << 40

// Cost returns the highest cost of the operation with these checked variables, in points; at least 1.
//
// It is the type cost of IBM's GraphQL cost specification (https://ibm.github.io/graphql-specs/cost-spec.html,
// section 6.1.1, static query analysis), in whole points. A field of an object type costs 1 and a plain value 0,
// unless @cost on the field or its type sets another weight. A list costs its weight and the cost of its selection
// for each item. Its size is the slicing argument of its @listSize: the value in the query, else the argument's
// default, else assumedSize. A list without @listSize, such as the nodes of a connection, has the size of the field
// above it, else 1. It is an upper bound: merged fields, and fields of different types of an interface, all count.
func (p *Prepared) Cost(variables map[string]any) int {
	e := evaluation{variables: variables, known: map[*expression]cost{}}
	c := e.of(p.cost)
	return max(1, sum(c.own, c.item))
}

// Price returns Cost, or an error above the limit.
func (p *Prepared) Price(variables map[string]any, limits Limits) (int, error) {
	points := p.Cost(variables)
	if limits.Cost > 0 && points > limits.Cost {
		return 0, errs.New(errs.InvalidArgument, "QUERY_TOO_EXPENSIVE", "the query costs %d points; %d are allowed", points, limits.Cost)
	}
	return points, nil
}

// cost is the cost of a selection set: its own, and that of each item of the lists whose size the field above
// determines.
type cost struct{ own, item int }

func (c cost) plus(d cost) cost { return cost{own: sum(c.own, d.own), item: sum(c.item, d.item)} }

// expression is the cost of a selection set, with the variables left open.
type expression struct {
	fixed cost
	terms []term
}

// term depends on variables.
type term struct {
	when  []condition
	field *fieldCost // nil for fragments
	below *expression
}

// condition is @skip or @include by a variable.
type condition struct {
	variable string
	is       bool
}

// fieldCost computes a field's cost from that of its selection set.
type fieldCost struct {
	weight int
	size   *listSize // nil when the field has none
	list   bool
}

func (f fieldCost) of(below cost, size int) cost {
	switch {
	case f.list && f.size == nil:
		return cost{item: sum(f.weight, below.own, below.item)}
	case f.list:
		return cost{own: product(size, sum(f.weight, below.own, below.item))}
	}
	return cost{own: sum(f.weight, below.own, product(size, below.item))}
}

// pricing converts an operation to an expression, each fragment once for any number of spreads.
type pricing struct {
	schema    *ast.Schema
	fragments map[string]*expression
}

func (p *pricing) read(set ast.SelectionSet) *expression {
	e := &expression{}
	for _, selection := range set {
		var t term
		var directives ast.DirectiveList
		switch s := selection.(type) {
		case *ast.Field:
			t.field, t.below = p.field(s)
			directives = s.Directives
		case *ast.InlineFragment:
			t.below, directives = p.read(s.SelectionSet), s.Directives
		case *ast.FragmentSpread:
			t.below, directives = p.fragment(s), s.Directives
		}
		var never bool
		if t.when, never = conditionsOf(directives); !never {
			e.add(t)
		}
	}
	return e
}

func (e *expression) add(t term) {
	if len(t.when) > 0 || len(t.below.terms) > 0 || t.field != nil && t.field.size.varies() {
		e.terms = append(e.terms, t)
		return
	}
	e.fixed = e.fixed.plus(t.value(t.below.fixed, nil))
}

func (t term) value(below cost, variables map[string]any) cost {
	if t.field == nil {
		return below
	}
	return t.field.of(below, t.field.size.of(variables))
}

func (p *pricing) field(f *ast.Field) (*fieldCost, *expression) {
	if strings.HasPrefix(f.Name, "__") {
		weight := introspection
		if f.Name == "__typename" {
			weight = 0
		}
		return &fieldCost{weight: weight}, &expression{}
	}
	return &fieldCost{
		weight: Weight(p.schema, f.Definition),
		size:   listSizeOf(f),
		list:   f.Definition.Type.Elem != nil,
	}, p.read(f.SelectionSet)
}

func (p *pricing) fragment(s *ast.FragmentSpread) *expression {
	e, known := p.fragments[s.Name]
	if !known {
		e = p.read(s.Definition.SelectionSet)
		p.fragments[s.Name] = e
	}
	return e
}

// evaluation computes an expression with variables, each fragment once.
type evaluation struct {
	variables map[string]any
	known     map[*expression]cost
}

func (v *evaluation) of(e *expression) cost {
	if len(e.terms) == 0 {
		return e.fixed
	}
	if c, known := v.known[e]; known {
		return c
	}
	c := e.fixed
	for _, t := range e.terms {
		if v.satisfies(t.when) {
			c = c.plus(t.value(v.of(t.below), v.variables))
		}
	}
	v.known[e] = c
	return c
}

func (v *evaluation) satisfies(conditions []condition) bool {
	return !slices.ContainsFunc(conditions, func(c condition) bool {
		given, ok := v.variables[c.variable].(bool)
		return ok && given != c.is
	})
}

// conditionsOf reads @skip and @include. never reports a selection that every execution skips.
func conditionsOf(directives ast.DirectiveList) (conditions []condition, never bool) {
	for name, is := range map[string]bool{"include": true, "skip": false} {
		directive := directives.ForName(name)
		if directive == nil {
			continue
		}
		argument := directive.Arguments.ForName("if")
		if argument == nil {
			continue
		}
		if argument.Value.Kind == ast.Variable {
			conditions = append(conditions, condition{variable: argument.Value.Raw, is: is})
			continue
		}
		never = never || (argument.Value.Raw == "true") != is
	}
	return conditions, never
}

// Weight returns the cost of a field, or of each item of a list, without its selection set: by its own @cost, else by
// that of its type.
func Weight(schema *ast.Schema, field *ast.FieldDefinition) int {
	definition := schema.Types[field.Type.Name()]
	for _, directives := range []ast.DirectiveList{field.Directives, definition.Directives} {
		if directive := directives.ForName("cost"); directive != nil {
			return countOf(directive.Arguments.ForName("weight").Value, nil)
		}
	}
	if definition.IsCompositeType() {
		return 1
	}
	return 0
}

// listSize is the size of a list.
type listSize struct {
	slicing  []*ast.Value // the values of the slicing arguments; the largest counts
	fallback int          // without a value: the largest default, else assumedSize
}

func listSizeOf(f *ast.Field) *listSize {
	directive := f.Definition.Directives.ForName("listSize")
	if directive == nil {
		return nil
	}
	size := &listSize{}
	for _, name := range slicingArguments(directive) {
		if given := f.Arguments.ForName(name); given != nil && given.Value.Kind != ast.NullValue {
			size.slicing = append(size.slicing, given.Value)
		}
		if argument := f.Definition.Arguments.ForName(name); argument != nil && argument.DefaultValue != nil {
			size.fallback = max(size.fallback, countOf(argument.DefaultValue, nil))
		}
	}
	if assumed := directive.Arguments.ForName("assumedSize"); assumed != nil && size.fallback == 0 {
		size.fallback = countOf(assumed.Value, nil)
	}
	size.fallback = max(size.fallback, 1)
	return size
}

func slicingArguments(directive *ast.Directive) []string {
	argument := directive.Arguments.ForName("slicingArguments")
	if argument == nil {
		return nil
	}
	var names []string
	for _, child := range argument.Value.Children {
		names = append(names, child.Value.Raw)
	}
	return names
}

func (s *listSize) varies() bool {
	return s != nil && slices.ContainsFunc(s.slicing, func(v *ast.Value) bool { return v.Kind == ast.Variable })
}

func (s *listSize) of(variables map[string]any) int {
	if s == nil {
		return 1
	}
	largest, found := 0, false
	for _, value := range s.slicing {
		if value.Kind == ast.Variable && variables[value.Raw] == nil {
			continue
		}
		largest, found = max(largest, countOf(value, variables)), true
	}
	if !found {
		return s.fallback
	}
	return largest
}

// countOf returns a number, or the number of items of a list; at least 0.
func countOf(value *ast.Value, variables map[string]any) int {
	switch value.Kind {
	case ast.Variable:
		return countOfVariable(variables[value.Raw])
	case ast.ListValue:
		return len(value.Children)
	case ast.IntValue:
		n, err := strconv.Atoi(value.Raw)
		if err != nil {
			return unpayable
		}
		return max(n, 0)
	}
	return 1 // a list of one item may be written without brackets
}

func countOfVariable(v any) int {
	switch v := v.(type) {
	case []any:
		return len(v)
	case json.Number:
		return countOfFloat(v.Float64())
	case float64:
		return countOfFloat(v, nil)
	case int:
		return max(v, 0)
	case int64:
		return countOfFloat(float64(v), nil)
	}
	return 1
}

func countOfFloat(f float64, err error) int {
	if err != nil || !(f < unpayable) {
		return unpayable
	}
	return int(math.Max(f, 0))
}

// sum and product stop at unpayable. Their operands are never below 0.
func sum(numbers ...int) int {
	total := 0
	for _, n := range numbers {
		total = min(total+min(n, unpayable), unpayable)
	}
	return total
}

func product(a, b int) int {
	if a > 0 && b > unpayable/a {
		return unpayable
	}
	return a * b
}

// Unsized returns the lists of objects without a size: neither they nor all fields above them have a @listSize.
func Unsized(schema *ast.Schema) []string {
	var fields []string
	for _, definition := range schema.Types {
		if strings.HasPrefix(definition.Name, "__") {
			continue
		}
		for _, field := range definition.Fields {
			open := field.Type.Elem != nil && schema.Types[field.Type.Name()].IsCompositeType() &&
				field.Directives.ForName("listSize") == nil
			if open && !sizedAbove(schema, definition.Name) {
				fields = append(fields, definition.Name+"."+field.Name)
			}
		}
	}
	slices.Sort(fields)
	return fields
}

func sizedAbove(schema *ast.Schema, name string) bool {
	reached := false
	for _, definition := range schema.Types {
		for _, field := range definition.Fields {
			if definition.Kind == ast.InputObject || field.Type.Name() != name {
				continue
			}
			if field.Type.Elem != nil || field.Directives.ForName("listSize") == nil {
				return false
			}
			reached = true
		}
	}
	return reached
}
