package document

import (
	"slices"

	"github.com/vektah/gqlparser/v2/ast"
)

// neverNull returns the variables that may be omitted, because they have a default, but may not be null, because
// their position is non-null. Neither validation nor gqlgen's executor refuses them: gqlgen reads null as an empty
// value, and panics in @skip and @include.
func neverNull(operation *ast.OperationDefinition) []string {
	n := nulls{operation: operation, fragments: map[string]bool{}}
	n.selections(operation.SelectionSet)
	return n.found
}

type nulls struct {
	operation *ast.OperationDefinition
	fragments map[string]bool // those that have been read
	found     []string
}

func (n *nulls) selections(set ast.SelectionSet) {
	for _, selection := range set {
		switch s := selection.(type) {
		case *ast.Field:
			n.directives(s.Directives)
			n.arguments(s.Arguments)
			n.selections(s.SelectionSet)
		case *ast.InlineFragment:
			n.directives(s.Directives)
			n.selections(s.SelectionSet)
		case *ast.FragmentSpread:
			n.directives(s.Directives)
			if !n.fragments[s.Name] {
				n.fragments[s.Name] = true
				n.selections(s.Definition.SelectionSet)
			}
		}
	}
}

func (n *nulls) directives(list ast.DirectiveList) {
	for _, d := range list {
		n.arguments(d.Arguments)
	}
}

func (n *nulls) arguments(list ast.ArgumentList) {
	for _, argument := range list {
		n.value(argument.Value)
	}
}

func (n *nulls) value(v *ast.Value) {
	for _, child := range v.Children {
		n.value(child.Value)
	}
	if v.Kind != ast.Variable || v.ExpectedType == nil || !v.ExpectedType.NonNull || slices.Contains(n.found, v.Raw) {
		return
	}
	if definition := n.operation.VariableDefinitions.ForName(v.Raw); definition != nil && !definition.Type.NonNull {
		n.found = append(n.found, v.Raw)
	}
}
