// Package document reads a document before it runs, once: how deep and how wide it is, whether it
// contradicts itself, what its caller must be allowed, and what it costs.
//
// It promises that no document that Check lets through takes long to validate or to plan. Check comes
// first, then validation under Rules, then Prepare.
//
// Access is denied by default. Every field of the schema states who may read it, by a directive of
// its own or of its type (@public, @authenticated, @requiresScopes); a field that states nothing may
// be read by nobody, and Unruled finds it in a test. Nothing here runs while fields resolve.
package document

import (
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
)

// Limits bound a document. Those from Fields on are the usual ones when they are 0.
type Limits struct {
	Depth           int // levels of fields
	Aliases         int // fields that are given another name, in an operation
	Cost            int // points; 0 bounds nothing
	Fields          int // of the document, those of fragments counted each time that they are spread
	RootFields      int // of an operation
	Directives      int // of an operation
	FieldDirectives int // in one place
	Duplicates      int // fields and fragments that stand beside their equals, in an operation
	Lists           int // of objects in each other
}

// Prepared is what there is to know of an operation before it runs.
type Prepared struct {
	needs      []need
	lists      int
	introspect bool
	cost       *expression
	neverNull  []string // variables

	schema    *ast.Schema
	operation *ast.OperationDefinition

	Keeping Keeping // of its answer
}

// need is what one field demands.
type need struct {
	field string     // "Trip.account"
	rule  rule       // who may read it
	anyOf [][]string // the scopes of requiresScopes
}

type rule int

const (
	denied rule = iota
	public
	authenticated
	scoped
)

// Prepare reads the operation, whose document has been validated against the schema.
func Prepare(schema *ast.Schema, operation *ast.OperationDefinition) *Prepared {
	w := walk{schema: schema, fragments: map[string]*Prepared{}, seen: map[string]bool{}}
	p := w.read(operation.SelectionSet)
	p.cost = (&pricing{schema: schema, fragments: map[string]*expression{}}).read(operation.SelectionSet)
	p.Keeping = keepingOf(schema, operation)
	p.schema, p.operation, p.neverNull = schema, operation, neverNull(operation)
	return p
}

type walk struct {
	schema    *ast.Schema
	fragments map[string]*Prepared // each is read once, however often it is spread
	seen      map[string]bool      // fields whose needs are noted
}

func (w *walk) read(set ast.SelectionSet) *Prepared {
	p := &Prepared{}
	for _, selection := range set {
		var below *Prepared
		switch s := selection.(type) {
		case *ast.Field:
			below = w.field(s)
		case *ast.InlineFragment:
			below = w.read(s.SelectionSet)
		case *ast.FragmentSpread:
			below = w.fragment(s)
		}
		p.needs = append(p.needs, below.needs...)
		p.lists = max(p.lists, below.lists)
		p.introspect = p.introspect || below.introspect
	}
	return p
}

// field reads a field and what is below it. Introspection is let in as a whole, or not.
func (w *walk) field(f *ast.Field) *Prepared {
	if strings.HasPrefix(f.Name, "__") {
		return &Prepared{introspect: f.Name != "__typename"}
	}
	p := w.read(f.SelectionSet)
	if f.Definition.Type.Elem != nil && len(f.SelectionSet) > 0 {
		p.lists++
	}
	if n := needOf(f.ObjectDefinition, f.Definition); !w.seen[n.field] {
		w.seen[n.field] = true
		p.needs = append(p.needs, n)
	}
	return p
}

// fragment reads a fragment once; a second spread adds its lists, its needs are noted.
func (w *walk) fragment(s *ast.FragmentSpread) *Prepared {
	p, known := w.fragments[s.Name]
	if !known {
		p = w.read(s.Definition.SelectionSet)
		w.fragments[s.Name] = &Prepared{lists: p.lists, introspect: p.introspect}
	}
	return p
}

// needOf finds the rule of a field: its own, else that of its type.
func needOf(parent *ast.Definition, field *ast.FieldDefinition) need {
	n := need{field: parent.Name + "." + field.Name}
	for _, directives := range []ast.DirectiveList{field.Directives, parent.Directives} {
		switch {
		case directives.ForName("requiresScopes") != nil:
			n.rule, n.anyOf = scoped, scopesOf(directives.ForName("requiresScopes"))
		case directives.ForName("authenticated") != nil:
			n.rule = authenticated
		case directives.ForName("public") != nil:
			n.rule = public
		default:
			continue
		}
		return n
	}
	return n
}

func scopesOf(directive *ast.Directive) [][]string {
	var anyOf [][]string
	for _, outer := range directive.Arguments.ForName("scopes").Value.Children {
		var all []string
		for _, inner := range outer.Value.Children {
			all = append(all, inner.Value.Raw)
		}
		anyOf = append(anyOf, all)
	}
	return anyOf
}

// Admit says whether the caller may run the operation: UNAUTHENTICATED or PERMISSION_DENIED name
// the first field that stands in the way.
func (p *Prepared) Admit(who caller.Caller) error {
	for _, n := range p.needs {
		if err := n.admit(who); err != nil {
			return err
		}
	}
	return nil
}

func (n need) admit(who caller.Caller) error {
	if n.rule == public {
		return nil
	}
	if !who.Known() {
		return errs.New(errs.Unauthenticated, "SIGN_IN_REQUIRED", "%s needs you to sign in, or an API key", n.field)
	}
	if n.rule == authenticated {
		return nil
	}
	holds := func(all []string) bool {
		return !slices.ContainsFunc(all, func(scope string) bool { return !who.Has(scope) })
	}
	if n.rule == scoped && slices.ContainsFunc(n.anyOf, holds) {
		return nil
	}
	return errs.New(errs.PermissionDenied, "SCOPE_MISSING", "%s needs %s", n.field, n.wanted())
}

func (n need) wanted() string {
	ways := make([]string, len(n.anyOf))
	for i, all := range n.anyOf {
		ways[i] = strings.Join(all, " and ")
	}
	if len(ways) == 0 {
		return "a permission that nobody has"
	}
	return "the scope " + strings.Join(ways, ", or ")
}

// AdmitLook says whether the caller may look into the schema, should the operation do so and should
// not everybody be let.
func (p *Prepared) AdmitLook(who caller.Caller) error {
	if !p.introspect || who.Has(caller.SchemaRead) {
		return nil
	}
	return errs.New(errs.PermissionDenied, "INTROSPECTION_DISABLED", "introspection needs the scope %s", caller.SchemaRead)
}

// Within says whether the operation keeps those limits that Check cannot know without the schema; one
// that does not is INVALID_ARGUMENT.
func (p *Prepared) Within(limits Limits) error {
	if most := limits.orUsual().Lists; p.lists > most {
		return errs.New(errs.InvalidArgument, "TOO_MANY_NESTED_LISTS", "the query has more than %d lists in each other", most)
	}
	return nil
}

// Unruled names the fields of the schema that do not state who may read them.
func Unruled(schema *ast.Schema) []string {
	var fields []string
	for _, definition := range schema.Types {
		if strings.HasPrefix(definition.Name, "__") || (definition.Kind != ast.Object && definition.Kind != ast.Interface) {
			continue
		}
		for _, field := range definition.Fields {
			if n := needOf(definition, field); !strings.HasPrefix(field.Name, "__") && n.rule == denied {
				fields = append(fields, n.field)
			}
		}
	}
	slices.Sort(fields)
	return fields
}
