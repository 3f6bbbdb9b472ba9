package plan_test

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// author writes random documents of a schema. Most are valid; the rest is for validation to refuse.
type author struct {
	schema    *ast.Schema
	rng       *rand.Rand
	fragments []string
	aliases   int
	fields    int
	value     func(a *author, t *ast.Type) string // a literal
}

// document writes one, and the values of its variables.
func (a *author) document() (string, map[string]any) {
	a.fragments, a.aliases, a.fields = nil, 0, 60
	set := a.selection(a.schema.Query, 0)
	used := "_on: __typename @include(if: $on) _off: __typename @skip(if: $off) " +
		"_n: things(first: $n) @skip(if: true) {__typename} _ids: persons(ids: $ids) @skip(if: true) {__typename}"
	query := `query($on: Boolean!, $off: Boolean! = false, $n: Int, $ids: [ID!]! = ["p1"]) {` + set + " " + used + "}"
	variables := map[string]any{"on": a.rng.IntN(2) == 0}
	if a.rng.IntN(2) == 0 {
		variables["off"] = a.rng.IntN(2) == 0
	}
	if a.rng.IntN(3) > 0 {
		variables["n"] = a.rng.IntN(8) - 1
	}
	query += " " + strings.Join(a.fragments, " ")
	return query, variables
}

func (a *author) selection(parent *ast.Definition, depth int) string {
	var set []string
	for range 1 + a.rng.IntN(4) {
		set = append(set, a.item(parent, depth))
	}
	return strings.Join(set, " ")
}

func (a *author) item(parent *ast.Definition, depth int) string {
	roll := a.rng.IntN(12)
	switch {
	case roll == 0:
		return a.alias() + "__typename" + a.condition()
	case roll < 4 && depth < 6:
		on := a.condition()
		possible := a.schema.GetPossibleTypes(parent)
		if len(possible) == 0 {
			possible = []*ast.Definition{parent}
		}
		into := possible[a.rng.IntN(len(possible))]
		if a.rng.IntN(3) == 0 && len(into.Interfaces) > 0 {
			into = a.schema.Types[into.Interfaces[a.rng.IntN(len(into.Interfaces))]]
		}
		body := a.selection(into, depth+1)
		if roll == 1 {
			name := fmt.Sprint("F", len(a.fragments))
			a.fragments = append(a.fragments, "fragment "+name+" on "+into.Name+" {"+body+"}")
			return "..." + name + on
		}
		return "... on " + into.Name + on + " {" + body + "}"
	case parent.Kind == ast.Union:
		return "__typename"
	}
	return a.field(parent, depth)
}

func (a *author) field(parent *ast.Definition, depth int) string {
	for range 20 {
		field := parent.Fields[a.rng.IntN(len(parent.Fields))]
		composite := a.schema.Types[field.Type.Name()].IsCompositeType()
		if strings.HasPrefix(field.Name, "__") || composite && (depth > 4 || a.fields <= 0) {
			continue
		}
		a.fields--
		text := field.Name + a.arguments(field)
		if a.rng.IntN(3) == 0 || len(field.Arguments) > 0 {
			text = a.alias() + text
		}
		text += a.condition()
		if composite {
			text += " {" + a.selection(a.schema.Types[field.Type.Name()], depth+1) + "}"
		}
		return text
	}
	return "__typename"
}

func (a *author) alias() string {
	a.aliases++
	return fmt.Sprintf("a%d: ", a.aliases)
}

func (a *author) condition() string {
	switch a.rng.IntN(24) {
	case 0:
		return " @skip(if: $on)"
	case 1:
		return " @include(if: $off)"
	case 2:
		return " @include(if: true)"
	case 3:
		return " @skip(if: $off) @include(if: $on)"
	}
	return ""
}

func (a *author) arguments(field *ast.FieldDefinition) string {
	var args []string
	for _, arg := range field.Arguments {
		if !arg.Type.NonNull && a.rng.IntN(3) == 0 {
			continue
		}
		args = append(args, arg.Name+": "+a.value(a, arg.Type))
	}
	if len(args) == 0 {
		return ""
	}
	return "(" + strings.Join(args, ", ") + ")"
}
