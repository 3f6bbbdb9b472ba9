package document

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/sluicehq/sluice/internal/errs"
)

// introspectionDepth bounds the depth below __schema and __type, which exceeds that of data: types are nested in
// lists of types.
const introspectionDepth = 20

// defaults are the limits that are not set.
var defaults = Limits{Fields: 2000, RootFields: 30, Directives: 50, FieldDirectives: 5, Duplicates: 30, Lists: 5}

func (l Limits) withDefaults() Limits {
	l.Fields = cmp.Or(l.Fields, defaults.Fields)
	l.RootFields = cmp.Or(l.RootFields, defaults.RootFields)
	l.Directives = cmp.Or(l.Directives, defaults.Directives)
	l.FieldDirectives = cmp.Or(l.FieldDirectives, defaults.FieldDirectives)
	l.Duplicates = cmp.Or(l.Duplicates, defaults.Duplicates)
	l.Lists = cmp.Or(l.Lists, defaults.Lists)
	return l
}

// shape is the size of a selection set; a fragment counts for each spread.
type shape struct {
	fields     int
	top        int // of the fields, those at the top
	depth      int
	schema     int // depth below __schema and __type
	aliases    int
	directives int
	duplicates int
}

// Check refuses a document beyond the limits before it is validated. Its time is linear in the document's length, and
// the limits bound all later steps. Fragments multiply: a few lines can expand to billions of fields.
func Check(document *ast.QueryDocument, limits Limits) error {
	limits = limits.withDefaults()
	m := measuring{
		document: document, limits: limits,
		fragments: make(map[string]*ast.FragmentDefinition, len(document.Fragments)), known: map[string]*shape{},
	}
	for _, fragment := range document.Fragments {
		if m.fragments[fragment.Name] == nil { // validation refuses a second fragment of the same name
			m.fragments[fragment.Name] = fragment
		}
	}
	total := 0
	for _, operation := range document.Operations {
		s := m.set(operation.SelectionSet)
		s.directives = bounded(s.directives, m.directives(operation.Directives))
		if err := cmp.Or(m.problem, s.within(limits)); err != nil {
			return err
		}
		total = bounded(total, s.fields)
	}
	for _, fragment := range document.Fragments { // validation reads unused fragments too
		total = bounded(total, m.fragment(fragment.Name).fields)
	}
	return cmp.Or(m.problem, shape{fields: total}.within(limits))
}

type measuring struct {
	document  *ast.QueryDocument
	limits    Limits
	fragments map[string]*ast.FragmentDefinition
	known     map[string]*shape // nil while a fragment is read: a cycle finds it so
	problem   error             // the first one
}

func (m *measuring) set(set ast.SelectionSet) shape {
	var all shape
	names := make(map[string]struct{}, len(set))
	for _, selection := range set {
		var one shape
		var name string
		switch s := selection.(type) {
		case *ast.Field:
			one, name = m.field(s), s.Alias
		case *ast.InlineFragment:
			one, name = m.set(s.SelectionSet), "... on "+s.TypeCondition
			one.directives = bounded(one.directives, m.directives(s.Directives))
		case *ast.FragmentSpread:
			one, name = m.fragment(s.Name), "..."+s.Name
			one.directives = bounded(one.directives, m.directives(s.Directives))
		}
		if _, duplicate := names[name]; duplicate {
			one.duplicates++
		}
		names[name] = struct{}{}
		all.add(one)
	}
	return all
}

func (m *measuring) field(f *ast.Field) shape {
	s := m.set(f.SelectionSet)
	s.fields, s.top = bounded(s.fields, 1), 1
	s.directives = bounded(s.directives, m.directives(f.Directives))
	if f.Alias != f.Name {
		s.aliases = bounded(s.aliases, 1)
	}
	if strings.HasPrefix(f.Name, "__") {
		s.schema, s.depth = max(s.schema, s.depth+1), 0
	} else {
		s.depth++
	}
	return s
}

func (m *measuring) fragment(name string) shape {
	if s, known := m.known[name]; known {
		if s != nil {
			return *s
		}
		m.fail(&gqlerror.Error{
			Message: fmt.Sprintf("the fragment %.60q spreads itself", name), Extensions: map[string]any{"code": errcode.ValidationFailed},
		})
		return shape{}
	}
	definition := m.fragments[name]
	if definition == nil {
		return shape{} // refused by validation
	}
	m.known[name] = nil
	s := m.set(definition.SelectionSet)
	s.directives = bounded(s.directives, m.directives(definition.Directives))
	m.known[name] = &s
	return s
}

// directives counts the directives of one field or fragment. @defer is refused, because a response of one part would
// lose the deferred fields.
func (m *measuring) directives(list ast.DirectiveList) int {
	if list.ForName("defer") != nil {
		m.fail(errs.New(errs.InvalidArgument, "DEFER_UNSUPPORTED", "@defer is not supported: a response has one part"))
	}
	if len(list) > m.limits.FieldDirectives {
		m.fail(errs.New(errs.InvalidArgument, "TOO_MANY_DIRECTIVES", "a field or fragment has %d directives; %d are allowed", len(list), m.limits.FieldDirectives))
	}
	return len(list)
}

func (m *measuring) fail(err error) {
	if m.problem == nil {
		m.problem = err
	}
}

func (s *shape) add(t shape) {
	s.fields, s.top = bounded(s.fields, t.fields), bounded(s.top, t.top)
	s.depth, s.schema = max(s.depth, t.depth), max(s.schema, t.schema)
	s.aliases, s.directives = bounded(s.aliases, t.aliases), bounded(s.directives, t.directives)
	s.duplicates = bounded(s.duplicates, t.duplicates)
}

// saturated stops counting, because fragments multiply.
const saturated = 1 << 30

func bounded(a, b int) int { return min(a+b, saturated) }

func (s shape) within(limits Limits) error {
	for _, l := range []struct {
		reason, what string
		has, limit   int
	}{
		{"QUERY_TOO_DEEP", "levels of fields", s.depth, limits.Depth},
		{"QUERY_TOO_DEEP", "levels of introspection", s.schema, introspectionDepth},
		{"TOO_MANY_ALIASES", "aliases", s.aliases, limits.Aliases},
		{"TOO_MANY_DUPLICATES", "duplicate fields and fragments", s.duplicates, limits.Duplicates},
		{"TOO_MANY_ROOT_FIELDS", "root fields", s.top, limits.RootFields},
		{"TOO_MANY_DIRECTIVES", "directives", s.directives, limits.Directives},
		{"TOO_MANY_FIELDS", "fields, with its fragments expanded", s.fields, limits.Fields},
	} {
		if l.has > l.limit {
			return errs.New(errs.InvalidArgument, l.reason, "the document has more than %d %s", l.limit, l.what)
		}
	}
	return nil
}
