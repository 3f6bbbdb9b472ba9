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

// introspectionDepth is how deep a document may look into the schema: deeper than into data, because
// types in lists of types are.
const introspectionDepth = 20

// usual are the limits of what has none.
var usual = Limits{Fields: 2000, RootFields: 30, Directives: 50, FieldDirectives: 5, Duplicates: 30, Lists: 5}

// orUsual sets the limits that are 0, but that of cost.
func (l Limits) orUsual() Limits {
	l.Fields = cmp.Or(l.Fields, usual.Fields)
	l.RootFields = cmp.Or(l.RootFields, usual.RootFields)
	l.Directives = cmp.Or(l.Directives, usual.Directives)
	l.FieldDirectives = cmp.Or(l.FieldDirectives, usual.FieldDirectives)
	l.Duplicates = cmp.Or(l.Duplicates, usual.Duplicates)
	l.Lists = cmp.Or(l.Lists, usual.Lists)
	return l
}

// shape is how large a selection is, what its fragments hold included each time that they are spread.
type shape struct {
	fields     int
	top        int // of the fields, those that stand in no other
	depth      int
	schema     int // depth below __schema and __type
	aliases    int
	directives int
	duplicates int
}

// Check bounds the document by its looks, before it is compared with the schema: reading it is linear
// in its length, and whatever comes after is bounded by what Check let through. Fragments multiply
// what they hold, and so some lines can be a document of billions of fields.
func Check(document *ast.QueryDocument, limits Limits) error {
	limits = limits.orUsual()
	m := measuring{
		document: document, limits: limits,
		fragments: make(map[string]*ast.FragmentDefinition, len(document.Fragments)), known: map[string]*shape{},
	}
	for _, fragment := range document.Fragments {
		if m.fragments[fragment.Name] == nil { // the second of a name is refused by validation
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
	for _, fragment := range document.Fragments { // those that are never spread are compared with the schema too
		total = bounded(total, m.fragment(fragment.Name).fields)
	}
	return cmp.Or(m.problem, shape{fields: total}.within(limits))
}

type measuring struct {
	document  *ast.QueryDocument
	limits    Limits
	fragments map[string]*ast.FragmentDefinition
	known     map[string]*shape // nil while it is read: then it spreads itself
	problem   error             // the first
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
		if _, again := names[name]; again {
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

// directives counts those of one place. @defer is in gqlgen's schema, and would leave its fields out of
// an answer that comes as a whole.
func (m *measuring) directives(list ast.DirectiveList) int {
	if list.ForName("defer") != nil {
		m.fail(errs.New(errs.InvalidArgument, "DEFER_UNSUPPORTED", "@defer is not supported: answers come as a whole"))
	}
	if len(list) > m.limits.FieldDirectives {
		m.fail(errs.New(errs.InvalidArgument, "TOO_MANY_DIRECTIVES", "there are %d directives in one place; %d are allowed", len(list), m.limits.FieldDirectives))
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

// many is where counting ends: fragments that spread each other multiply what they hold.
const many = 1 << 30

func bounded(a, b int) int { return min(a+b, many) }

func (s shape) within(limits Limits) error {
	for _, l := range []struct {
		reason, what string
		has, most    int
	}{
		{"QUERY_TOO_DEEP", "levels of fields", s.depth, limits.Depth},
		{"QUERY_TOO_DEEP", "levels of introspection", s.schema, introspectionDepth},
		{"TOO_MANY_ALIASES", "aliases", s.aliases, limits.Aliases},
		{"TOO_MANY_DUPLICATES", "fields and fragments beside their equals", s.duplicates, limits.Duplicates},
		{"TOO_MANY_ROOT_FIELDS", "fields at its top", s.top, limits.RootFields},
		{"TOO_MANY_DIRECTIVES", "directives", s.directives, limits.Directives},
		{"TOO_MANY_FIELDS", "fields, those of fragments counted each time", s.fields, limits.Fields},
	} {
		if l.has > l.most {
			return errs.New(errs.InvalidArgument, l.reason, "the document has more than %d %s", l.most, l.what)
		}
	}
	return nil
}
