// Package pipeline executes GraphQL operations. A persisted document is looked up by its hash or id, the text is
// bounded, parsed and validated, admission decides, the response cache is looked up, and the plan runs. Documents,
// with their cost and plans, are cached by the hash of their text. gateway/edge adds the transports. A failed field
// is null, with an error from graph.Present. A panic of a resolver is an INTERNAL error of its field.
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

// Admission decides which operations may run, and settles their cost: see gateway/admission.
type Admission interface {
	graphql.HandlerExtension
	graphql.OperationContextMutator
	graphql.ResponseInterceptor
	// Admission decides which operations may run, and settles their cost: see gateway/admission.
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
	// Introspection permits all callers to read the schema, and validation errors to suggest its names.
	Introspection bool
	Reference     bool // gqlgen's executor runs everything: tests compare plans with it
}

// Introspection permits all callers to read the schema, and validation errors to suggest its names.
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

// CheckDocument returns the error of a document, or nil.
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
