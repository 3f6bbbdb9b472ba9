package pipeline

import (
	"context"
	"errors"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"go.opentelemetry.io/otel/attribute"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/obs"
)

// operation is the pipeline as an extension of gqlgen: it looks up and bounds documents, traces operations, and uses
// the response cache.
type operation struct {
	tracing   *obs.Tracing
	documents *documents
	admission Admission
	persisted bff.Documents // nil for none
	responses bff.Responses // nil caches none
}

var _ interface {
	graphql.HandlerExtension
	graphql.OperationParameterMutator
	graphql.OperationInterceptor
	graphql.ResponseInterceptor
	graphql.FieldInterceptor
} = (*operation)(nil)

// ExtensionName implements graphql.HandlerExtension.
func (*operation) ExtensionName() string { return "Operation" }

// Validate implements graphql.HandlerExtension.
func (*operation) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationParameters looks the document up, and bounds it before it is parsed.
func (o *operation) MutateOperationParameters(ctx context.Context, params *graphql.RawParams) *gqlerror.Error {
	if err := o.find(ctx, params); err != nil {
		return gqlerror.Wrap(err)
	}
	err := o.documents.check(ctx, params.Query)
	if invalid, ok := errors.AsType[*gqlerror.Error](err); ok || err == nil {
		return invalid
	}
	return gqlerror.Wrap(err)
}

// registration stores a persisted document with its text, after admission.
type registration struct{ persisted bff.Documents }

// ExtensionName implements graphql.HandlerExtension.
func (registration) ExtensionName() string { return "Registration" }

// Validate implements graphql.HandlerExtension.
func (registration) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationContext is graphql.OperationContextMutator.
func (r registration) MutateOperationContext(ctx context.Context, request *graphql.OperationContext) *gqlerror.Error {
	if named := DocumentOf(request); named.Fresh {
		r.persisted.Save(ctx, named)
	}
	return nil
}

// InterceptOperation executes the operation.
func (o *operation) InterceptOperation(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	return o.cached(ctx, graphql.GetOperationContext(ctx), next)
}

// InterceptResponse traces the operation, if its document was parsed.
func (o *operation) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	request := graphql.GetOperationContext(ctx)
	if request.Operation == nil {
		return next(ctx)
	}
	ctx, span := o.tracing.Start(ctx, "graphql "+string(request.Operation.Operation), attribute.String("graphql.operation.name", request.OperationName))
	defer span.End()
	return next(ctx)
}

// IsIntrospection reports whether the field belongs to the introspection of the schema, __typename included.
func IsIntrospection(field graphql.CollectedField) bool { return strings.HasPrefix(field.Name, "__") }

// InterceptField traces resolvers, and attributes their cached reads to their field.
func (o *operation) InterceptField(ctx context.Context, next graphql.Resolver) (any, error) {
	field := graphql.GetFieldContext(ctx)
	if m, ok := ctx.Value(meterKey{}).(*meter); ok {
		answer, err := o.interceptResolver(ctx, field, next)
		m.count(field.Field.Field, answer)
		return answer, err
	}
	return o.interceptResolver(ctx, field, next)
}

func (o *operation) interceptResolver(ctx context.Context, field *graphql.FieldContext, next graphql.Resolver) (any, error) {
	if !field.IsResolver {
		return next(ctx)
	}
	ctx, span := o.tracing.Start(ctx, field.Object+"."+field.Field.Name)
	defer span.End()
	if reads := bff.ReadsOf(ctx); reads.ByField() {
		ctx = bff.WithReads(ctx, reads.At(pathOf(field)))
	}
	return next(ctx)
}
