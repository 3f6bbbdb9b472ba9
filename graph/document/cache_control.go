package document

import (
	"strconv"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
)

// Keeping is how long an answer may be kept, and for whom, as @cacheControl says: the least of what is
// selected, and for its caller alone when anything is.
type Keeping struct {
	MaxAge  time.Duration // 0 for not at all
	Private bool
}

// keepingOf reads the operation. A field whose value is an object goes by its own directive, else by
// that of its type, else it may not be kept; a plain value goes with what it is of.
func keepingOf(schema *ast.Schema, operation *ast.OperationDefinition) Keeping {
	if operation.Operation != ast.Query {
		return Keeping{Private: true}
	}
	k := keeping{schema: schema, least: -1, fragments: map[string]bool{}}
	k.read(operation.SelectionSet)
	return Keeping{MaxAge: time.Duration(max(k.least, 0)) * time.Second, Private: !k.public}
}

type keeping struct {
	schema    *ast.Schema
	least     int // seconds; -1 before anything was read
	public    bool
	fragments map[string]bool // those that were read
}

func (k *keeping) read(set ast.SelectionSet) {
	for _, selection := range set {
		switch s := selection.(type) {
		case *ast.Field:
			k.field(s)
		case *ast.InlineFragment:
			k.read(s.SelectionSet)
		case *ast.FragmentSpread:
			if !k.fragments[s.Name] {
				k.fragments[s.Name] = true
				k.read(s.Definition.SelectionSet)
			}
		}
	}
}

func (k *keeping) field(f *ast.Field) {
	if f.Name == "__typename" {
		return
	}
	hint := f.Definition.Directives.ForName("cacheControl")
	if hint == nil && len(f.SelectionSet) > 0 {
		if of := k.schema.Types[f.Definition.Type.Name()]; of != nil {
			hint = of.Directives.ForName("cacheControl")
		}
	}
	switch {
	case hint != nil:
		k.take(hint)
	case len(f.SelectionSet) > 0 || isRoot(k.schema, f.ObjectDefinition):
		k.least = 0
	}
	k.read(f.SelectionSet)
}

func isRoot(schema *ast.Schema, of *ast.Definition) bool { return of != nil && of == schema.Query }

func (k *keeping) take(hint *ast.Directive) {
	seconds := 0
	if arg := hint.Arguments.ForName("maxAge"); arg != nil {
		seconds, _ = strconv.Atoi(arg.Value.Raw) // an Int, as the schema says
	}
	scope := hint.Arguments.ForName("scope")
	isPublic := scope != nil && scope.Value.Raw == "PUBLIC"
	if k.least < 0 {
		k.least, k.public = seconds, isPublic
		return
	}
	k.least, k.public = min(k.least, seconds), k.public && isPublic
}
