// Package plan executes the queries and subscriptions of a gqlgen schema in place of gqlgen's own
// executor: with the same answers, byte for byte, for about the price of code written by hand.
//
// # What happens to a query
//
//  1. gqlgen parses and validates the document and calls Schema.Exec, as it would call its own schema,
//     which Schema wraps.
//  2. The plan is looked up. The first time it is compiled: a tree of the fields that will be answered,
//     with response keys as ready bytes and getters as typed functions, which plan/plangen generates
//     beside gqlgen's output. There is one for each operation and values of the booleans in its @skip
//     and @include. What cannot be planned is handed back to gqlgen (see below).
//  3. The first pass resolves, level by level. Plain fields are read where they stand. A field that
//     needs more than its parent is asked for all of its parents at once: a reference (see Refer, Ask,
//     Defer) gives keys to its loader; any other resolver is called in a goroutine.
//  4. The second pass walks the plan in the order of the answer, appends JSON to one buffer, and reports
//     errors where they belong. Whoever sends the answer writes that buffer as it is.
//
// For { trips { vehicle { name } } jobs { device { name } } }, trips and jobs are called side by side;
// when both are there, the ids of all vehicles and of all devices go to the device loader in one call;
// then the answer is written.
//
// # To use it
//
// Generate with plan/plangen/gqlgen, which is gqlgen with the plugin plan/plangen (or add the plugin to a
// generator of your own). Wrap what Planned of the generated package gives by New, and hand that to gqlgen's
// server in place of NewExecutableSchema. Everything works from then on, planned, with the resolvers that
// there are; give fields that refer to something a Reference, one after another, where their calls are to
// be one.
//
// # Levels and loads
//
// A level is the number of resolved fields above. What fields of one level ask of one
// loader is one call, whichever fields they are. It starts when each of them has asked, or is found
// never to be reached: there is no timer, and a field waits for nobody with whom it does not share a
// loader. What a level before has loaded is not loaded again.
//
// A subscription's resolver gives a channel; for each value that comes from it the plan runs as for a
// query whose root field has given that value.
//
// # Invariants
//
// The answer is what gqlgen's executor would give: the same bytes, the same errors at the
// same paths, through the same presenter and recover function; differential tests hold it to that. All
// work ends before the answer is given: no goroutine outlives it. A plan is immutable and shared; what
// a request needs of its own is pooled with the plan. Both passes meet the same objects in the same
// order; should they not (a view changed meanwhile), the field is an error, never another object's
// value. Arguments are read once for a field of the plan and shared by all of its parents, so resolvers
// may not change them.
//
// Two things about events are as the specification has them and not as in gqlgen, where their errors'
// paths leave out the root field, and where a null that the root field may not be stays below it.
//
// # What is handed back
//
// Handed back to gqlgen, and counted by reason (Outcome): mutations, introspection, @defer, directives
// with code, plans that would be too large, and operations with too many combinations of @skip and
// @include. Of gqlgen's middleware AroundFields runs around resolvers called singly, not around plain
// fields or references; AroundRootFields does not run.
package plan

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/99designs/gqlgen/graphql"
	"github.com/maypok86/otter/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

// Outcome says how an operation was executed.
type Outcome string

// The outcomes: planned, or handed back to gqlgen for a reason.
const (
	Planned       Outcome = "planned"
	Mutation      Outcome = "mutation"
	Introspection Outcome = "introspection"
	Deferral      Outcome = "defer"
	Directive     Outcome = "directive"
	Variants      Outcome = "variants"  // too many combinations of @skip and @include
	Size          Outcome = "size"      // too many fields
	Unsupported   Outcome = "unplanned" // a field that the generator does not know how to plan
)

// Outcomes are all outcomes there are.
func Outcomes() []Outcome {
	return []Outcome{Planned, Mutation, Introspection, Deferral, Directive, Variants, Size, Unsupported}
}

// Options say how a schema is planned.
type Options struct {
	// References answers fields for many parents at once, by "Type.field".
	References map[string]Reference
	// Fallback executes what is handed back; the source's own schema when nil.
	Fallback graphql.ExecutableSchema
	// Operation gives what keeps the plans of the request's operation: the same for the same
	// operation of the same document, so that whoever keeps documents keeps their plans with them.
	Operation func(request *graphql.OperationContext) *Operation
	// Count is told of every operation. It may be nil.
	Count func(Outcome)
	// Weight is what a value of a field costs, a list each of its items. Spent is told what all that was
	// answered to a query costs together, before the answer is given. Both may be nil, together.
	Weight func(field *ast.FieldDefinition) int
	Spent  func(ctx context.Context, points int)
	// Trace is told of every call of a loader; what it gives is called when the call has ended. It
	// may be nil.
	Trace func(ctx context.Context, call LoaderCall) (context.Context, func())
}

// LoaderCall is a call of a loader.
type LoaderCall struct {
	Loader string
	Keys   int
	run    *run
	index  int
}

// Fields are the paths of those who asked, without the places in lists: "trips.nodes.vehicle". Those who
// asked for nothing that was not loaded before may be among them.
func (c LoaderCall) Fields() []string {
	var paths []string
	for _, n := range c.run.plan.loads[c.index].askers {
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

// Schema is an executable schema that plans its queries.
type Schema struct {
	graphql.ExecutableSchema // what is handed back goes here

	source     Source
	references map[*Field]Reference
	operation  func(*graphql.OperationContext) *Operation
	count      func(Outcome)
	weight     func(field *ast.FieldDefinition) int
	spent      func(ctx context.Context, points int)
	trace      func(ctx context.Context, call LoaderCall) (context.Context, func())
}

var _ graphql.ExecutableSchema = (*Schema)(nil)

// New wraps the source's schema. References to fields that are not there, or of other types than
// the schema's, are an error.
func New(source Source, options Options) (*Schema, error) {
	s := &Schema{
		ExecutableSchema: options.Fallback,
		source:           source,
		references:       map[*Field]Reference{},
		operation:        options.Operation,
		count:            options.Count,
		weight:           options.Weight,
		spent:            options.Spent,
		trace:            options.Trace,
	}
	if s.ExecutableSchema == nil {
		s.ExecutableSchema = source.Schema
	}
	if _, ok := s.ExecutableSchema.(graphql.ExecutableSchemaWithEventContext); ok {
		return nil, errors.New("plan: a schema with @subscriptionContext would lose it here")
	}
	if s.count == nil {
		s.count = func(Outcome) {}
	}
	if s.weight == nil || s.spent == nil {
		s.weight = func(*ast.FieldDefinition) int { return 0 }
		s.spent = func(context.Context, int) {}
	}
	if s.operation == nil {
		var err error
		if s.operation, err = recent(); err != nil {
			return nil, err
		}
	}
	for name, reference := range options.References {
		field := source.field(name)
		if field == nil {
			return nil, fmt.Errorf("plan: a reference for %s, which is no field with a resolver", name)
		}
		if err := reference.fits(field); err != nil {
			return nil, fmt.Errorf("plan: the reference for %s: %w", name, err)
		}
		s.references[field] = reference
	}
	return s, nil
}

// Exec executes the operation in the context.
func (s *Schema) Exec(ctx context.Context) graphql.ResponseHandler {
	request := graphql.GetOperationContext(ctx)
	p, outcome := s.planOf(request)
	s.count(outcome)
	if outcome != Planned {
		return s.ExecutableSchema.Exec(ctx)
	}
	if request.Operation.Operation == ast.Subscription {
		return s.subscribe(ctx, request, p)
	}
	ran := false
	return func(ctx context.Context) *graphql.Response {
		if ran {
			return nil
		}
		ran = true
		return s.execute(ctx, request, p)
	}
}

// planOf finds or makes the plan of the request.
func (s *Schema) planOf(request *graphql.OperationContext) (*plan, Outcome) {
	if request.Operation.Operation == ast.Mutation {
		return nil, Mutation
	}
	return s.operation(request).planOf(s, request)
}

// keptOperations is how many operations are kept planned when nobody else keeps them.
const keptOperations = 1000

// recent keeps the operations that were executed last, as long as their documents are the same.
func recent() (func(*graphql.OperationContext) *Operation, error) {
	kept, err := otter.New(&otter.Options[*ast.OperationDefinition, *Operation]{MaximumSize: keptOperations})
	if err != nil {
		return nil, fmt.Errorf("plan: keep operations: %w", err)
	}
	return func(request *graphql.OperationContext) *Operation {
		if op, known := kept.GetIfPresent(request.Operation); known {
			return op
		}
		op, _ := kept.SetIfAbsent(request.Operation, &Operation{})
		return op
	}, nil
}
