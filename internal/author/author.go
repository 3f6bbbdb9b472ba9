// Package author writes random documents of a schema, for tests that compare gqlgen's executor with plans. Validation
// refuses a few of them.
package author

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"
)

// The sizes of a document.
const (
	maxDepth     = 6  // of fragments; fields with fields below end one level before
	maxComposite = 60 // fields with fields below
)

// Count returns the number of documents of a test: many if SLUICE_TEST_REQUIRE is set, few otherwise, a tenth of few
// with -short.
func Count(few, many int) int {
	switch {
	case os.Getenv("SLUICE_TEST_REQUIRE") != "":
		return many
	case testing.Short():
		return few / 10
	}
	return few
}

// Author writes documents. The same seed writes the same documents.
type Author struct {
	Schema *ast.Schema
	Rand   *rand.Rand
	// Value returns the value of an argument, "field.argument": a literal, or a result of Variable.
	Value func(a *Author, argument string, t *ast.Type) string
	// Avoid reports whether a field is left out; it may be nil.
	Avoid func(object *ast.Definition, field *ast.FieldDefinition) bool
	// Introspects adds __schema and __type to some queries.
	Introspects bool

	fragments []fragment
	aliased   map[string]string // the alias of a field with its arguments
	aliases   int
	composite int
	declared  []variable
	values    map[string]any
}

type variable struct{ name, declaration string }

// fragment is a named fragment.
type fragment struct{ name, on, body string }

func (f fragment) String() string { return "fragment " + f.name + " on " + f.on + " {" + f.body + "}" }

// Document writes a query, and the values of its variables.
func (a *Author) Document() (query string, variables map[string]any) {
	a.begin()
	set := a.selection(a.Schema.Query, 0)
	if a.Introspects && a.Rand.IntN(10) == 0 {
		set = []string{
			`__schema { queryType { name } } ` + set,
			set + ` i: __type(name: "` + a.Schema.Query.Name + `") @include(if: ` + a.on() + `) { name fields { name } }`,
			set + ` ... on ` + a.Schema.Query.Name + ` { none: __type(name: "Missing") { kind } }`,
		}[a.Rand.IntN(3)]
	}
	return a.operation("query", set)
}

// Mutation writes a mutation, and the values of its variables.
func (a *Author) Mutation() (query string, variables map[string]any) {
	a.begin()
	return a.operation("mutation", a.selection(a.Schema.Mutation, 0))
}

// Subscription writes a subscription to any field of Subscription, with the alias `it`.
func (a *Author) Subscription() (query string, variables map[string]any, field *ast.FieldDefinition) {
	a.begin()
	fields := slices.DeleteFunc(slices.Clone(a.Schema.Subscription.Fields), func(f *ast.FieldDefinition) bool {
		return strings.HasPrefix(f.Name, "__")
	})
	field = fields[a.Rand.IntN(len(fields))]
	set := "it: " + field.Name + a.arguments(field)
	if result := a.Schema.Types[field.Type.Name()]; result.IsCompositeType() {
		set += " {" + a.selection(result, 0) + "}"
	}
	switch a.Rand.IntN(4) {
	case 0:
		set = "... on Subscription {" + set + "}"
	case 1:
		a.fragments = append(a.fragments, fragment{"Root", "Subscription", set})
		set = "... {...Root}"
	}
	query, variables = a.operation("subscription", set)
	return query, variables, field
}

func (a *Author) begin() {
	a.fragments, a.aliases, a.composite, a.declared, a.values = nil, 0, maxComposite, nil, map[string]any{}
	a.aliased = map[string]string{}
}

func (a *Author) operation(kind, set string) (query string, variables map[string]any) {
	var declarations []string
	for _, v := range a.declared {
		declarations = append(declarations, "$"+v.name+": "+v.declaration)
	}
	query = kind
	if len(declarations) > 0 {
		query += "(" + strings.Join(declarations, ", ") + ")"
	}
	query += " {" + set + "}"
	for _, f := range a.fragments {
		query += " " + f.String()
	}
	return query, a.values
}

// Variable declares a variable, such as `Int` or `[ID!]! = ["x"]`, and returns its name with the dollar sign. Without
// a value the variable is omitted from the request. Equal declarations may share a variable.
func (a *Author) Variable(declaration string, value ...any) string {
	if a.Rand.IntN(3) == 0 {
		known := func(v variable) bool { return v.declaration == declaration }
		if at := slices.IndexFunc(a.declared, known); at >= 0 {
			return "$" + a.declared[at].name
		}
	}
	return a.declare(fmt.Sprint("v", len(a.declared)), declaration, value...)
}

func (a *Author) declare(name, declaration string, value ...any) string {
	if slices.ContainsFunc(a.declared, func(v variable) bool { return v.name == name }) {
		return "$" + name
	}
	a.declared = append(a.declared, variable{name, declaration})
	if len(value) > 0 {
		a.values[name] = value[0]
	}
	return "$" + name
}

func (a *Author) selection(parent *ast.Definition, depth int) string {
	var set []string
	for range 1 + a.Rand.IntN(4) {
		set = append(set, a.item(parent, depth))
	}
	return strings.Join(set, " ")
}

func (a *Author) item(parent *ast.Definition, depth int) string {
	roll := a.Rand.IntN(13)
	switch {
	case roll == 0:
		return a.alias("__typename") + "__typename" + a.condition()
	case roll == 12 && depth < maxDepth:
		return "..." + a.condition() + " {" + a.selection(parent, depth+1) + "}"
	case roll < 4 && depth < maxDepth:
		return a.fragment(parent, depth, roll == 1)
	case parent.Kind == ast.Union:
		return "__typename"
	}
	return a.field(parent, depth)
}

func (a *Author) fragment(parent *ast.Definition, depth int, named bool) string {
	on := a.condition()
	possible := a.Schema.GetPossibleTypes(parent)
	if len(possible) == 0 {
		possible = []*ast.Definition{parent}
	}
	into := possible[a.Rand.IntN(len(possible))]
	if a.Rand.IntN(3) == 0 && len(into.Interfaces) > 0 {
		into = a.Schema.Types[into.Interfaces[a.Rand.IntN(len(into.Interfaces))]]
	}
	if again := a.known(into.Name); named && again != "" && a.Rand.IntN(2) == 0 {
		return "..." + again + on
	}
	body := a.selection(into, depth+1)
	if !named {
		return "... on " + into.Name + on + " {" + body + "}"
	}
	name := fmt.Sprint("F", len(a.fragments))
	a.fragments = append(a.fragments, fragment{name, into.Name, body})
	return "..." + name + on
}

// known returns the name of a fragment that is written already, or "".
func (a *Author) known(on string) string {
	for _, at := range a.Rand.Perm(len(a.fragments)) {
		if a.fragments[at].on == on {
			return a.fragments[at].name
		}
	}
	return ""
}

func (a *Author) field(parent *ast.Definition, depth int) string {
	for range 20 {
		field := parent.Fields[a.Rand.IntN(len(parent.Fields))]
		of := a.Schema.Types[field.Type.Name()]
		composite := of.IsCompositeType()
		if strings.HasPrefix(field.Name, "__") || composite && (depth >= maxDepth-1 || a.composite <= 0) {
			continue
		}
		if a.Avoid != nil && a.Avoid(parent, field) {
			continue
		}
		text := field.Name + a.arguments(field)
		if a.Rand.IntN(3) == 0 || len(field.Arguments) > 0 {
			text = a.alias(text) + text
		}
		text += a.condition()
		if composite {
			a.composite--
			text += " {" + a.selection(of, depth+1) + "}"
		}
		return text
	}
	return "__typename"
}

// alias returns an alias for a field with its arguments: that of the same field elsewhere, so that both merge, or
// another one.
func (a *Author) alias(of string) string {
	if known, ok := a.aliased[of]; ok && a.Rand.IntN(2) == 0 {
		return known
	}
	a.aliases++
	a.aliased[of] = fmt.Sprintf("a%d: ", a.aliases)
	return a.aliased[of]
}

func (a *Author) condition() string {
	switch a.Rand.IntN(24) {
	case 0:
		return " @skip(if: " + a.on() + ")"
	case 1:
		return " @include(if: " + a.off() + ")"
	case 2:
		return " @include(if: true)"
	case 3:
		return " @skip(if: " + a.off() + ") @include(if: " + a.on() + ")"
	}
	return ""
}

func (a *Author) on() string { return a.declare("on", "Boolean!", a.Rand.IntN(2) == 0) }

func (a *Author) off() string {
	if a.Rand.IntN(2) == 0 {
		return a.declare("off", "Boolean! = false")
	}
	return a.declare("off", "Boolean! = false", a.Rand.IntN(2) == 0)
}

func (a *Author) arguments(field *ast.FieldDefinition) string {
	var args []string
	for _, arg := range field.Arguments {
		if !arg.Type.NonNull && a.Rand.IntN(3) == 0 {
			continue
		}
		args = append(args, arg.Name+": "+a.Value(a, field.Name+"."+arg.Name, arg.Type))
	}
	if len(args) == 0 {
		return ""
	}
	return "(" + strings.Join(args, ", ") + ")"
}
