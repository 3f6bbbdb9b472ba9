// Package pipeline executes GraphQL operations: everything between a request that was read and its response.
//
// An operation passes these steps: a persisted document is looked up by its hash or id, the text is bounded,
// parsed and validated, admission decides, the response cache is looked up, and the plan runs. Documents, with
// their cost and their plans, are cached by the hash of their text. The server that NewServer returns has no
// transport: gateway/edge adds them.
//
// A document that breaks a bound is refused before it is compared with the schema. A failed field is null, with
// an error from graph.Present. A panic of a resolver is an INTERNAL error of its field.
package pipeline

import (
	"context"
	"errors"
	"log/slog"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/graph"
	"github.com/sluicehq/sluice/graph/document"
	"github.com/sluicehq/sluice/graph/exec"
	"github.com/sluicehq/sluice/graph/plan"
	"github.com/sluicehq/sluice/internal/obs"
)

// Admission decides which operations may run, and settles what they cost. gateway/admission implements it.
type Admission interface {
	graphql.HandlerExtension
	graphql.OperationContextMutator
	graphql.ResponseInterceptor
	// Settle receives the cost in points of the response to the operation in ctx.
	Settle(ctx context.Context, points int)
}

// Options configure a server, in addition to its resolver.
type Options struct {
	Admission Admission // required
	Limits    document.Limits
	Persisted bff.Documents // nil for none
	Responses bff.Responses // caches whole responses; nil caches none
	Tokens    int           // maximum per document
	Logger    *slog.Logger
	Tracing   *obs.Tracing
	Count     func(plan.Outcome) // receives how each operation is executed; may be nil
	// Introspection permits all callers to read the schema, and validation errors to suggest names of it.
	Introspection bool
	Reference     bool // gqlgen's own executor runs everything: tests compare plans with it
}

// NewServer returns the executor of operations. It has no transport: gateway/edge adds them. It panics if the
// references do not fit the schema, which no configuration can cause.
func NewServer(resolver *graph.Resolver, options Options) *handler.Server {
	schema := executable(resolver, options)
	documents, err := newDocuments(schema.Schema(), options.Limits, options.Tokens)
	if err != nil {
		panic(err)
	}
	server := handler.New(schema)
	server.SetErrorPresenter(graph.Present(options.Logger))
	server.SetRecoverFunc(graph.Recover)
	server.SetParserTokenLimit(options.Tokens)
	server.SetQueryCache(documents)
	server.SetDisableSuggestion(!options.Introspection)
	server.SetValidationRulesFn(func() *rules.Rules { return document.Rules(options.Introspection) })
	server.Use(extension.Introspection{})
	server.Use(&operation{
		tracing: options.Tracing, documents: documents, admission: options.Admission, persisted: options.Persisted, responses: options.Responses,
	})
	server.Use(options.Admission)
	if options.Reference {
		server.Use(denying{options.Admission})
	}
	if options.Persisted != nil {
		server.Use(registration{options.Persisted})
	}
	return server
}

// CheckDocument returns what is wrong with a document, or nil.
func CheckDocument(text string, limits document.Limits, tokens int) error {
	schema := exec.NewExecutableSchema(exec.Config{}).Schema()
	parsed, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: text}, tokens)
	if err != nil {
		return err
	}
	if len(parsed.Operations) == 0 {
		return errors.New("it has no operation")
	}
	if err := document.Check(parsed, limits); err != nil {
		return err
	}
	if problems := validator.ValidateWithRules(schema, parsed, document.Rules(true)); len(problems) > 0 {
		return problems[0]
	}
	for _, operation := range parsed.Operations {
		if err := document.Prepare(schema, operation).CheckLimits(limits); err != nil {
			return err
		}
	}
	return nil
}

func executable(resolver *graph.Resolver, options Options) graphql.ExecutableSchema {
	references := graph.References(resolver.Ports)
	source := exec.Planned(exec.Config{Resolvers: exec.WithReferences(resolver, references)})
	if options.Reference {
		return reference{source.Schema, options.Admission, weights(source.Schema.Schema())}
	}
	schema, err := plan.New(source, plan.Options{
		References: references,
		Refusal:    graph.RefusePlan,
		Operation:  func(request *graphql.OperationContext) *plan.Operation { return &preparedOf(request).plans },
		Denied:     denialsOf,
		Count:      options.Count,
		Weight:     func(field *ast.FieldDefinition) int { return document.Weight(source.Schema.Schema(), field) },
		Spent:      options.Admission.Settle,
		Trace: func(ctx context.Context, call plan.LoaderCall) (context.Context, func()) {
			ctx, span := options.Tracing.Start(ctx, "load "+call.Loader)
			if reads := bff.ReadsOf(ctx); reads.ByField() {
				ctx = bff.WithReads(ctx, reads.At(call.Fields()...))
			}
			return ctx, func() { span.End() }
		},
	})
	if err != nil {
		panic(err)
	}
	return schema
}
