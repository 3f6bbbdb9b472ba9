package document

import (
	"slices"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/core"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

// Rules returns the validation rules of the specification. Without suggestions, an error names nothing of the schema
// that the document does not name. The rule on merged fields is our own: gqlparser's compares pairs of fields
// repeatedly, and can run for days over a short document.
func Rules(suggest bool) *rules.Rules {
	r := rules.NewDefaultRules()
	r.ReplaceRule(rules.OverlappingFieldsCanBeMergedRule.Name, fieldsCanBeMerged)
	r.AddRule("NumbersInRange", numbersInRange)
	if suggest {
		return r
	}
	for with, without := range map[string]core.Rule{
		rules.FieldsOnCorrectTypeRule.Name: rules.FieldsOnCorrectTypeRuleWithoutSuggestions,
		rules.KnownArgumentNamesRule.Name:  rules.KnownArgumentNamesRuleWithoutSuggestions,
		rules.KnownTypeNamesRule.Name:      rules.KnownTypeNamesRuleWithoutSuggestions,
		rules.ScalarLeafsRule.Name:         rules.ScalarLeafsRuleWithoutSuggestions,
		rules.ValuesOfCorrectTypeRule.Name: rules.ValuesOfCorrectTypeRuleWithoutSuggestions,
	} {
		r.ReplaceRule(with, without.RuleFunc)
	}
	return r
}

// mergeWork bounds the compared fields of one operation. A document that passes Check needs far less, unless it mixes
// fields of interfaces and of many types at many levels.
const mergeWork = 20_000

// fieldsCanBeMerged is section 5.3.2 of the specification, Field Selection Merging: fields with one response name are
// the same field, or their objects are of different types and their values have the same shape. Fields are collected
// by response name, level by level, and compared only with the first of their name, because equality is transitive.
func fieldsCanBeMerged(observers *core.Events, addError core.AddErrFunc) {
	observers.OnOperation(func(w *core.Walker, operation *ast.OperationDefinition) {
		m := merging{schema: w.Schema, left: mergeWork, conflict: func(f *ast.Field, why string) {
			addError(
				core.Message("Fields %q conflict because %s. Use different aliases on the fields to fetch both if this was intentional.", f.Alias, why),
				core.At(f.Position),
			)
		}}
		m.check(m.collect([]ast.SelectionSet{operation.SelectionSet}), false)
		if m.left < 0 {
			addError(core.Message("The document's fields overlap in too many ways."), core.At(operation.Position))
		}
	})
}

type merging struct {
	schema   *ast.Schema
	left     int // fields that may still be compared
	conflict func(field *ast.Field, why string)
}

// named are the fields with one response name.
type named []*ast.Field

// collect returns the fields of the selection sets by response name, in the order of the first of each name; those of
// a fragment once, for any number of spreads.
func (m *merging) collect(sets []ast.SelectionSet) []named {
	var all []named
	at := map[string]int{}
	spread := map[string]bool{}
	var read func(set ast.SelectionSet)
	read = func(set ast.SelectionSet) {
		for _, selection := range set {
			if m.left--; m.left < 0 {
				return
			}
			switch s := selection.(type) {
			case *ast.Field:
				i, known := at[s.Alias]
				if !known {
					i = len(all)
					at[s.Alias] = i
					all = append(all, nil)
				}
				all[i] = append(all[i], s)
			case *ast.InlineFragment:
				read(s.SelectionSet)
			case *ast.FragmentSpread:
				if s.Definition != nil && !spread[s.Name] {
					spread[s.Name] = true
					read(s.Definition.SelectionSet)
				}
			}
		}
	}
	for _, set := range sets {
		read(set)
	}
	return all
}

// check compares fields with one name, and the fields below them. Fields of different object types need only the same
// shape, and so do the fields below.
func (m *merging) check(all []named, apart bool) {
	for _, fields := range all {
		fields = slices.DeleteFunc(fields, func(f *ast.Field) bool { return f.Definition == nil || f.ObjectDefinition == nil })
		if len(fields) == 0 || m.left < 0 {
			continue
		}
		groups := []named{fields}
		if !apart {
			groups = overlapping(fields)
		}
		if !apart && !m.sameFields(groups) || !m.sameType(fields) {
			continue
		}
		for _, group := range groups {
			m.check(m.collect(below(group)), apart)
		}
		if len(groups) > 1 {
			m.check(m.collect(below(fields)), true)
		}
	}
}

func below(fields named) []ast.SelectionSet {
	var sets []ast.SelectionSet
	for _, f := range fields {
		if len(f.SelectionSet) > 0 {
			sets = append(sets, f.SelectionSet)
		}
	}
	return sets
}

// overlapping groups the fields whose objects can be the same: those of an interface or a union may be of any object,
// those of two object types never.
func overlapping(fields named) []named {
	var open named
	var parents []*ast.Definition
	of := map[*ast.Definition]named{}
	for _, f := range fields {
		if f.ObjectDefinition.Kind != ast.Object {
			open = append(open, f)
			continue
		}
		if of[f.ObjectDefinition] == nil {
			parents = append(parents, f.ObjectDefinition)
		}
		of[f.ObjectDefinition] = append(of[f.ObjectDefinition], f)
	}
	if len(parents) == 0 {
		return []named{open}
	}
	groups := make([]named, len(parents))
	for i, parent := range parents {
		groups[i] = slices.Concat(open, of[parent])
	}
	return groups
}

func (m *merging) sameFields(groups []named) bool {
	same := true
	for _, group := range groups {
		first := group[0]
		for _, f := range group[1:] {
			switch {
			case f.Name != first.Name:
				m.conflict(f, `"`+first.Name+`" and "`+f.Name+`" are different fields`)
			case !sameArguments(first.Arguments, f.Arguments):
				m.conflict(f, "they have differing arguments")
			default:
				continue
			}
			same = false
			break // one conflict of a group is enough
		}
	}
	return same
}

func sameArguments(a, b ast.ArgumentList) bool {
	if len(a) != len(b) {
		return false
	}
	for _, argument := range a {
		other := b.ForName(argument.Name)
		if other == nil || other.Value.String() != argument.Value.String() {
			return false
		}
	}
	return true
}

func (m *merging) sameType(fields named) bool {
	first := fields[0]
	for _, f := range fields[1:] {
		if !m.sameShape(first.Definition.Type, f.Definition.Type) {
			m.conflict(f, `they return conflicting types "`+first.Definition.Type.String()+`" and "`+f.Definition.Type.String()+`"`)
			return false
		}
	}
	return true
}

func (m *merging) sameShape(a, b *ast.Type) bool {
	if a.NonNull != b.NonNull || (a.Elem == nil) != (b.Elem == nil) {
		return false
	}
	if a.Elem != nil {
		return m.sameShape(a.Elem, b.Elem)
	}
	if a.NamedType == b.NamedType {
		return true
	}
	return m.composite(a.NamedType) && m.composite(b.NamedType)
}

func (m *merging) composite(name string) bool {
	definition := m.schema.Types[name]
	return definition != nil && definition.IsCompositeType()
}
