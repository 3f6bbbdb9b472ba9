package plan

import (
	"context"
	"reflect"
	"strings"

	"github.com/99designs/gqlgen/graphql"
)

// Source is a schema with the code that plan/plangen generated for it.
type Source struct {
	Schema graphql.ExecutableSchema
	Types  []Type // by TypeID
	Query  TypeID
	// Mutation and Subscription are the other root types; 0, and never used, where there is none.
	Mutation, Subscription TypeID
	// Begin returns gqlgen's execution context for one operation: the first argument of Field.Call and Field.Context.
	Begin func(*graphql.OperationContext) any
	// Inputs adds the unmarshallers of input objects to a context, for resolvers that use them.
	Inputs func(context.Context) context.Context
}

// TypeID numbers the object types of a schema.
type TypeID int

// Type is an object type of the schema.
type Type struct {
	Name      string
	Satisfies []string // itself and its interfaces and unions, for gqlgen's CollectFields
	// Lasting: an object of the type always has the same pointer, so the passes can verify that they
	// read the same object.
	Lasting bool
	Fields  map[string]*Field
}

// Field is a field of an object type of the schema.
type Field struct {
	Name    string
	NonNull bool
	Results []TypeID // the object types of its value; none for a leaf
	// Concurrent: a resolver, or a method with a context, resolves the field.
	Concurrent bool
	// Method: Inline calls a method, which may return another value each time.
	Method bool
	// Args: the field takes arguments.
	Args bool
	// Inline writes the field of a view; nil when it can fail or needs arguments.
	Inline func(w *Writer, n *Node, obj any) bool
	// Call calls the resolver or method; nil for a variable.
	Call func(x any, ctx context.Context, fc *graphql.FieldContext, obj any) (any, error)
	// Receive waits for the next event of the channel that Call returned: a field of Subscription. It
	// returns false when the channel is closed or the context is done.
	Receive func(ctx context.Context, events any) (v any, ok bool)
	// Value writes the result of Call or of a reference.
	Value func(w *Writer, n *Node, v any) bool
	// Context creates the field's context and decodes its arguments; it reports errors in them.
	Context func(x any, ctx context.Context, field graphql.CollectedField) (*graphql.FieldContext, error)
	// Unplanned is the reason why the field cannot be planned; "" when it can.
	Unplanned Outcome
	// Parent and Result are the Go types of a concurrent field.
	Parent, Result reflect.Type
}

func (s Source) field(name string) *Field {
	object, name, _ := strings.Cut(name, ".")
	for i := range s.Types {
		if s.Types[i].Name != object {
			continue
		}
		if field := s.Types[i].Fields[name]; field != nil && field.Concurrent {
			return field
		}
	}
	return nil
}
