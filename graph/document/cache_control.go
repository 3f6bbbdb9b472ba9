package document

import (
	"strconv"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
)

// CacheControl is the TTL and the audience of a cached response, by @cacheControl: the lowest age of the selected
// fields, and private if one of them is.
type CacheControl struct {
	MaxAge  time.Duration // 0 caches nothing
	Private bool          // for the caller only
}

// cacheControlOf reads the operation. A field with a selection set has its own directive, else that of its type, else
// its response is not cached. A plain value has the directive of its object.
func cacheControlOf(schema *ast.Schema, operation *ast.OperationDefinition) CacheControl {
	if operation.Operation != ast.Query {
		return CacheControl{Private: true}
	}
	r := cacheReader{schema: schema, maxAge: -1, fragments: map[string]bool{}}
	r.read(operation.SelectionSet)
	return CacheControl{MaxAge: time.Duration(max(r.maxAge, 0)) * time.Second, Private: !r.public}
}

type cacheReader struct {
	schema    *ast.Schema
	maxAge    int // seconds; -1 before the first directive
	public    bool
	fragments map[string]bool // read fragments
}

func (r *cacheReader) read(set ast.SelectionSet) {
	for _, selection := range set {
		switch s := selection.(type) {
		case *ast.Field:
			r.field(s)
		case *ast.InlineFragment:
			r.read(s.SelectionSet)
		case *ast.FragmentSpread:
			if !r.fragments[s.Name] {
				r.fragments[s.Name] = true
				r.read(s.Definition.SelectionSet)
			}
		}
	}
}

func (r *cacheReader) field(f *ast.Field) {
	if f.Name == "__typename" {
		return
	}
	hint := f.Definition.Directives.ForName("cacheControl")
	if hint == nil && len(f.SelectionSet) > 0 {
		if of := r.schema.Types[f.Definition.Type.Name()]; of != nil {
			hint = of.Directives.ForName("cacheControl")
		}
	}
	switch {
	case hint != nil:
		r.apply(hint)
	case len(f.SelectionSet) > 0 || isRoot(r.schema, f.ObjectDefinition):
		r.maxAge = 0
	}
	r.read(f.SelectionSet)
}

func isRoot(schema *ast.Schema, of *ast.Definition) bool { return of != nil && of == schema.Query }

func (r *cacheReader) apply(hint *ast.Directive) {
	seconds := 0
	if arg := hint.Arguments.ForName("maxAge"); arg != nil {
		seconds, _ = strconv.Atoi(arg.Value.Raw) // an Int, as the schema says
	}
	scope := hint.Arguments.ForName("scope")
	isPublic := scope != nil && scope.Value.Raw == "PUBLIC"
	if r.maxAge < 0 {
		r.maxAge, r.public = seconds, isPublic
		return
	}
	r.maxAge, r.public = min(r.maxAge, seconds), r.public && isPublic
}
