package plan

import (
	"context"
	"reflect"
	"strings"

	"github.com/99designs/gqlgen/graphql"
)

// Source is a schema with what plan/plangen generated for it.
type Source struct {
	Schema graphql.ExecutableSchema
	Types  []Type // by TypeID
	Query  TypeID
	// Subscription is the root of subscriptions; 0 and never asked for where there is none.
	Subscription TypeID
	// Begin gives gqlgen's execution context for one operation: the first argument of Field.Call and
	// Field.Context.
	Begin func(*graphql.OperationContext) any
	// Inputs puts the unmarshallers of input objects into a context, for resolvers that ask for them.
	Inputs func(context.Context) context.Context
}

// TypeID numbers the object types of a schema.
type TypeID int

// Type is an object type.
type Type struct {
	Name      string
	Satisfies []string // itself and its interfaces and unions, as gqlgen's CollectFields wants them
	// Lasting says that an object of the type is always met behind the same pointer, so that the
	// passes can check that they speak of the same one.
	Lasting bool
	Fields  map[string]*Field
}

// Field is a field of an object type.
type Field struct {
	Name    string
	NonNull bool
	Results []TypeID // the object types that it may give; none for a leaf
	// Concurrent says that the field is answered by a resolver, or by a method with a context.
	Concurrent bool
	// Method says that Inline calls a method: it may give another value each time.
	Method bool
	// Args says that the field takes arguments.
	Args bool
	// Inline writes the field of a view; nil when it can fail or needs arguments.
	Inline func(w *Writer, n *Node, obj any) bool
	// Call asks the resolver or method; nil for a variable.
	Call func(x any, ctx context.Context, fc *graphql.FieldContext, obj any) (any, error)
	// Receive waits for the next value of the channel that Call gave: a field of Subscription. False
	// when the channel is closed or the context is done.
	Receive func(ctx context.Context, events any) (v any, ok bool)
	// Value writes what Call, or a reference, gave.
	Value func(w *Writer, n *Node, v any) bool
	// Context makes the field's context and reads its arguments; it reports what is wrong with them.
	Context func(x any, ctx context.Context, field graphql.CollectedField) (*graphql.FieldContext, error)
	// Unplanned says why the field cannot be planned; "" when it can.
	Unplanned Outcome
	// Parent and Result are the Go types of a concurrent field.
	Parent, Result reflect.Type
}

// field finds a concurrent field by "Type.field".
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
