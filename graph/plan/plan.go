// Package plan executes the operations of a gqlgen schema instead of gqlgen's executor, with the same responses, byte
// for byte, at about the cost of code written by hand.
//
// gqlgen parses and validates the document and calls Schema.Exec. The first execution compiles a plan: a tree of the
// fields of the response, with response keys as bytes and getters that plan/plangen generates. There is one plan for
// each operation and each combination of the booleans in @skip and @include. The first pass resolves the fields,
// level by level. A plain field is read from its object. A reference (see Refer, ReferArgs, ReferMany) is resolved
// for all of its parents at once: it queues keys for the next batch of its loader. Other resolvers are called
// concurrently, a bounded fan-out over goroutines. The second pass walks the plan in the order of the response,
// appends JSON to one buffer, and reports each error at its path.
//
// # Levels and loads
//
// The level of a field is the number of resolved fields above it. The keys of one level for one loader are coalesced
// into one batch, which starts when each of these fields has queued its keys or cannot be reached: there is no
// debounce timer. Keys are deduplicated in a batch, and against the batches of earlier levels.
//
// # Mutations, subscriptions and introspection
//
// Each root field of a mutation is a plan of its own, which ends, with its selection and loads, before the next
// begins. A subscription's resolver returns a channel; the plan runs once for each event. gqlgen's executor resolves
// __schema and __type.
//
// # Invariants
//
// Bytes, errors and paths are those of gqlgen's executor; differential tests verify it. Two exceptions for events
// follow the specification: error paths include the root field, and a null that the root field may not be makes the
// data null. No goroutine outlives the response. A plan is immutable and shared; the state and the buffers of a
// request are pooled with it. If a view changes between both passes, the field is an error, never another object's
// value. Arguments are decoded once for all parents: resolvers may not change them.
//
// # Denied fields, refusals and fallback
//
// A field that the caller may not read (Options.Denied) is null, with an error, and nothing below it is resolved; at
// most 100 of these errors are in a response. An operation with too many fields, too many combinations of @skip and
// @include, or a condition that is no boolean is refused (Outcome). @defer, directives with code, and fields that
// plan/plangen does not support run in gqlgen's executor. AroundFields runs around resolvers only; AroundRootFields
// does not run.
package plan

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/99designs/gqlgen/graphql"
	"github.com/maypok86/otter/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

// Outcome states how an operation was executed.
type Outcome string

// The outcomes: run by a plan, run by gqlgen's executor, or refused.
const (
	Planned       Outcome = "planned"
	Introspection Outcome = "introspection" // nothing but __schema, __type and __typename
	Deferral      Outcome = "defer"
	Directive     Outcome = "directive"
	Unsupported   Outcome = "unplanned"  // a field that plan/plangen does not support
	Variants      Outcome = "variants"   // refused: too many combinations of @skip and @include
	Size          Outcome = "size"       // refused: too many fields
	Condition     Outcome = "conditions" // refused: a variable of @skip or @include is no boolean
)

// Outcomes returns all outcomes.
func Outcomes() []Outcome {
	return []Outcome{Planned, Introspection, Deferral, Directive, Unsupported, Variants, Size, Condition}
}

// IsRefusal reports whether an operation with the outcome is refused.
func (o Outcome) IsRefusal() bool { return o == Variants || o == Size || o == Condition }

// Options configure how a schema is planned.
type Options struct {
	// References resolve fields for many parents at once, by "Type.field".
	References map[string]Reference
	// Fallback executes what is neither planned nor refused; the source's own schema when nil.
	Fallback graphql.ExecutableSchema
	// Operation returns the plans of the request's operation: the same for the same operation of the same document,
	// so that a cache of documents retains them.
	Operation func(request *graphql.OperationContext) *Operation
	// Denied returns the fields of the request's query that its caller may not read. It may be nil.
	Denied func(request *graphql.OperationContext) Denials
	// Count receives the outcome of every operation. It may be nil.
	Count func(Outcome)
	// Refusal returns the error of an operation that is refused. It may be nil.
	Refusal func(Outcome) error
	// Weight is the cost of a field's value; a list has the cost of each item. Spent receives the cost of a response
	// before it is returned. Set both or none.
	Weight func(field *ast.FieldDefinition) int
	Spent  func(ctx context.Context, points int)
	// Trace is called before every batch of a loader, and its result after it. It may be nil.
	Trace func(ctx context.Context, call LoaderCall) (context.Context, func())
}

// Denials are the fields that a caller may not read. Each is null, with its error.
type Denials struct {
	Key    string           // equal for equal fields
	Fields map[string]error // by "Type.field"
}

// LoaderCall is a batch of a loader.
type LoaderCall struct {
	Loader string
	Keys   int
	run    *run
	index  int
}

// Fields returns the paths of the fields that queued keys, without list indices: "trips.nodes.vehicle". It may
// include fields whose keys were loaded before.
func (c LoaderCall) Fields() []string {
	var paths []string
	for _, n := range c.run.plan.loads[c.index].fields {
		if st := &c.run.states[n.slot]; len(st.parents) > 0 && !st.refused {
			if path := pathOf(n.chain); !slices.Contains(paths, path) {
				paths = append(paths, path)
			}
		}
	}
	return paths
}

func pathOf(at *graphql.FieldContext) string {
	path := ""
	for ; at != nil && at.Field.Field != nil; at = at.Parent {
		if path != "" {
			path = "." + path
		}
		path = at.Field.Alias + path
	}
	return path
}

// Schema is an executable schema that runs the operations of a gqlgen schema by plans.
type Schema struct {
	graphql.ExecutableSchema // the fallback

	source  Source
	options Options
	byField map[*Field]Reference
}

var _ graphql.ExecutableSchema = (*Schema)(nil)

// New wraps the source's schema. It returns an error for a reference to an unknown field, or with other Go types.
func New(source Source, options Options) (*Schema, error) {
	if options.Fallback == nil {
		options.Fallback = source.Schema
	}
	if _, ok := options.Fallback.(graphql.ExecutableSchemaWithEventContext); ok {
		return nil, errors.New("plan: a schema with @subscriptionContext is not supported")
	}
	if options.Denied == nil {
		options.Denied = func(*graphql.OperationContext) Denials { return Denials{} }
	}
	if options.Count == nil {
		options.Count = func(Outcome) {}
	}
	if options.Refusal == nil {
		options.Refusal = func(o Outcome) error { return fmt.Errorf("the operation is refused: %s", o) }
	}
	if options.Weight == nil || options.Spent == nil {
		options.Weight = func(*ast.FieldDefinition) int { return 0 }
		options.Spent = func(context.Context, int) {}
	}
	if options.Operation == nil {
		var err error
		if options.Operation, err = recentOperations(); err != nil {
			return nil, err
		}
	}
	s := &Schema{ExecutableSchema: options.Fallback, source: source, options: options, byField: map[*Field]Reference{}}
	for name, reference := range options.References {
		field := source.field(name)
		if field == nil {
			return nil, fmt.Errorf("plan: the reference %s names no field with a resolver", name)
		}
		if err := reference.check(field); err != nil {
			return nil, fmt.Errorf("plan: the reference %s: %w", name, err)
		}
		s.byField[field] = reference
	}
	return s, nil
}

// Exec executes the operation in the context. It returns a handler for the responses.
func (s *Schema) Exec(ctx context.Context) graphql.ResponseHandler {
	request := graphql.GetOperationContext(ctx)
	denials := s.options.Denied(request)
	p, outcome := s.options.Operation(request).planOf(s, request, denials)
	s.options.Count(outcome)
	switch {
	case outcome != Planned && outcome != Introspection && denials.Key != "":
		return s.refuse(ctx, slices.Collect(maps.Values(denials.Fields))[0]) // the fallback would read denied fields
	case outcome.IsRefusal():
		return s.refuse(ctx, s.options.Refusal(outcome))
	case outcome != Planned:
		return s.ExecutableSchema.Exec(ctx)
	case request.Operation.Operation == ast.Subscription:
		return s.subscribe(ctx, request, p)
	}
	done := false
	return func(ctx context.Context) *graphql.Response {
		if done {
			return nil
		}
		done = true
		return s.execute(ctx, request, p)
	}
}

func (s *Schema) refuse(ctx context.Context, err error) graphql.ResponseHandler {
	s.options.Spent(ctx, 0)
	graphql.AddError(ctx, err)
	return func(context.Context) *graphql.Response { return nil }
}

// maxRecent is the number of operations whose plans are cached when Options.Operation is nil.
const maxRecent = 1000

func recentOperations() (func(*graphql.OperationContext) *Operation, error) {
	cache, err := otter.New(&otter.Options[*ast.OperationDefinition, *Operation]{MaximumSize: maxRecent})
	if err != nil {
		return nil, fmt.Errorf("plan: cache operations: %w", err)
	}
	return func(request *graphql.OperationContext) *Operation {
		if op, hit := cache.GetIfPresent(request.Operation); hit {
			return op
		}
		op, _ := cache.SetIfAbsent(request.Operation, &Operation{})
		return op
	}, nil
}
