// Package document analyses a document once, before it is executed: depth and size, merged fields, required scopes,
// cost, and TTL of the response. The order is Check, validation by Rules, Prepare; after Check the other steps are
// fast. An error names the limit or the field.
//
// Access is denied by default. Every field of the schema declares who may read it, by a directive of its own or of
// its type (@public, @authenticated, @requiresScopes). A field without one is denied to every caller, and a test
// finds it by Unruled. Nothing of this package runs while fields are resolved.
package document

import (
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
)

// Limits bound a document. A limit of 0 from Fields on has its default.
type Limits struct {
	Depth           int // levels of fields
	Aliases         int // of the document; a fragment counts for each spread
	Cost            int // points; 0 means no limit
	Fields          int // of the document; a fragment counts for each spread
	RootFields      int // of the document; a fragment counts for each spread
	Directives      int // of the document; a fragment counts for each spread
	FieldDirectives int // of one field or fragment
	Duplicates      int // equal fields and fragments of one selection set, in an operation
	Lists           int // nested lists of objects
}

// Prepared is the analysis of an operation.
type Prepared struct {
	needs      []need
	lists      int
	introspect bool
	cost       *expression
	neverNull  []string // variables

	schema    *ast.Schema
	operation *ast.OperationDefinition

	CacheControl CacheControl // of its response
}

// need is the access rule of one field of the schema.
type need struct {
	field string // "Trip.account"
	rule  rule
	anyOf [][]string // the scopes of requiresScopes
}

type rule int

const (
	denied rule = iota
	public
	authenticated
	scoped
)

// Prepare analyses an operation of a valid document.
func Prepare(schema *ast.Schema, operation *ast.OperationDefinition) *Prepared {
	w := walk{schema: schema, fragments: map[string]*Prepared{}, seen: map[string]bool{}}
	p := w.read(operation.SelectionSet)
	p.cost = (&pricing{schema: schema, fragments: map[string]*expression{}}).read(operation.SelectionSet)
	p.CacheControl = cacheControlOf(schema, operation)
	p.schema, p.operation, p.neverNull = schema, operation, neverNull(operation)
	return p
}

type walk struct {
	schema    *ast.Schema
	fragments map[string]*Prepared // each once, for any number of spreads
	seen      map[string]bool      // fields whose needs are listed
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

// field reads a field and its selection set. Introspection is one rule.
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

// fragment reads a fragment once. A further spread adds only its lists.
func (w *walk) fragment(s *ast.FragmentSpread) *Prepared {
	p, known := w.fragments[s.Name]
	if !known {
		p = w.read(s.Definition.SelectionSet)
		w.fragments[s.Name] = &Prepared{lists: p.lists, introspect: p.introspect}
	}
	return p
}

// needOf returns the rule of a field: its own, else that of its type.
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

// CheckAccess returns UNAUTHENTICATED or PERMISSION_DENIED, with the first field that the caller may not read.
func (p *Prepared) CheckAccess(by caller.Caller) error {
	for _, n := range p.needs {
		if err := n.check(by); err != nil {
			return err
		}
	}
	return nil
}

// Denied returns the fields of a query that the caller may not read, with their errors: they are null in the
// response. It returns an error if nothing of the query would remain, and for an anonymous caller, who can sign in.
func (p *Prepared) Denied(by caller.Caller) (fields map[string]error, err error) {
	remains := p.introspect
	for _, n := range p.needs {
		denial := n.check(by)
		isRoot := strings.HasPrefix(n.field, p.schema.Query.Name+".")
		remains = remains || isRoot && denial == nil
		if denial == nil {
			continue
		}
		if err == nil {
			err = denial
		}
		if fields == nil {
			fields = map[string]error{}
		}
		fields[n.field] = denial
	}
	if remains && by.Known() {
		return fields, nil
	}
	return nil, err
}

func (n need) check(by caller.Caller) error {
	if n.rule == public {
		return nil
	}
	if !by.Known() {
		return errs.New(errs.Unauthenticated, "SIGN_IN_REQUIRED", "%s needs you to sign in, or an API key", n.field)
	}
	if n.rule == authenticated {
		return nil
	}
	hasAll := func(all []string) bool {
		return !slices.ContainsFunc(all, func(scope string) bool { return !by.Has(scope) })
	}
	if n.rule == scoped && slices.ContainsFunc(n.anyOf, hasAll) {
		return nil
	}
	if err := by.LabelLimit(slices.Concat(n.anyOf...)...); err != nil {
		return err
	}
	return errs.New(errs.PermissionDenied, "SCOPE_MISSING", "%s needs %s", n.field, n.alternatives())
}

func (n need) alternatives() string {
	ways := make([]string, len(n.anyOf))
	for i, all := range n.anyOf {
		ways[i] = strings.Join(all, " and ")
	}
	if len(ways) == 0 {
		return "a permission that no caller has"
	}
	return "the scope " + strings.Join(ways, ", or ")
}

// CheckIntrospection returns PERMISSION_DENIED for introspection by a caller without the scope.
func (p *Prepared) CheckIntrospection(by caller.Caller) error {
	if !p.introspect || by.Has(caller.SchemaRead) {
		return nil
	}
	return IntrospectionDisabled()
}

// IntrospectionDisabled returns the refusal of a caller that may not read the schema.
func IntrospectionDisabled() error {
	return errs.New(errs.PermissionDenied, "INTROSPECTION_DISABLED", "introspection needs the scope %s", caller.SchemaRead)
}

// CheckLimits returns INVALID_ARGUMENT for an operation beyond the limits that need the schema.
func (p *Prepared) CheckLimits(limits Limits) error {
	if limit := limits.withDefaults().Lists; p.lists > limit {
		return errs.New(errs.InvalidArgument, "TOO_MANY_NESTED_LISTS", "the query has more than %d nested lists", limit)
	}
	return nil
}

// Unruled returns the fields of the schema without an access rule.
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
