package pipeline

import (
	"context"
	"errors"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/graph"
	"github.com/sluicehq/sluice/graph/document"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/obs"
)

// operation is what happens around every operation: it is let in or refused, gets loaders of its
// own, and is traced.
type operation struct {
	ports     bff.Ports
	limits    document.Limits
	budgets   bff.Budgets // nil charges nobody
	abuse     bff.Abuse   // nil watches nobody
	tracing   *obs.Tracing
	documents *documents

	known         bff.Documents // by name; nil for none
	responses     bff.Responses // nil keeps none
	introspection bool          // by everybody
}

var _ interface {
	graphql.HandlerExtension
	graphql.OperationParameterMutator
	graphql.OperationContextMutator
	graphql.OperationInterceptor
	graphql.ResponseInterceptor
	graphql.FieldInterceptor
} = (*operation)(nil)

// ExtensionName names the extension to gqlgen.
func (*operation) ExtensionName() string { return "Operation" }

// Validate finds nothing wrong with any schema.
func (*operation) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationParameters finds the document, and bounds it before it is read as a whole.
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

// MutateOperationContext lets the operation in, or refuses it before anything runs. Refusals are
// presented when they are answered.
func (o *operation) MutateOperationContext(ctx context.Context, request *graphql.OperationContext) *gqlerror.Error {
	if o.abuse != nil {
		if err := o.abuse.Admit(ctx, kindOf(request.Operation)); err != nil {
			return gqlerror.Wrap(err)
		}
	}
	prepared := preparedOf(request)
	if err := prepared.CheckLimits(o.limits); err != nil {
		return gqlerror.Wrap(err)
	}
	if err := prepared.CheckAccess(caller.FromContext(ctx)); err != nil {
		o.keepRefused(ctx, request, err)
		return gqlerror.Wrap(err)
	}
	if !o.introspection {
		if err := prepared.CheckIntrospection(caller.FromContext(ctx)); err != nil {
			return gqlerror.Wrap(err)
		}
	}
	if err := prepared.CheckVariables(request.Variables); err != nil {
		return graph.Invalid("%s", err)
	}
	if err := oneStream(request); err != nil {
		return err
	}
	if o.abuse != nil {
		if err := o.abuse.Repeat(ctx, targets(o.documents.schema, request)); err != nil {
			return gqlerror.Wrap(err)
		}
	}
	if err := o.charge(ctx, request, prepared.Prepared); err != nil {
		return gqlerror.Wrap(err)
	}
	if named := DocumentOf(request); named.Fresh {
		o.known.Keep(ctx, named)
	}
	o.noteBegun(ctx, request)
	return nil
}

// oneStream refuses a subscription to several streams, which validation lets through when they are one
// field under several names, and to none, which @skip and @include can make of one.
func oneStream(request *graphql.OperationContext) *gqlerror.Error {
	if request.Operation.Operation != ast.Subscription {
		return nil
	}
	streams := graphql.CollectFields(request, request.Operation.SelectionSet, []string{"Subscription"})
	if len(streams) != 1 {
		return graph.Invalid("a subscription must select one field of Subscription, and this one selects %d", len(streams))
	}
	return nil
}

// InterceptOperation answers the operation.
func (o *operation) InterceptOperation(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	return o.answered(ctx, graphql.GetOperationContext(ctx), next)
}

// InterceptResponse traces the operation, if there is one: a document that does not read has none.
func (o *operation) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	request := graphql.GetOperationContext(ctx)
	if request.Operation == nil {
		response := next(ctx)
		o.note(ctx, request, response)
		return response
	}
	ctx, span := o.tracing.Start(ctx, "graphql "+string(request.Operation.Operation),
		trace.WithAttributes(attribute.String("graphql.operation.name", request.OperationName)))
	defer span.End()
	response := next(ctx)
	showCost(ctx, request, response)
	o.note(ctx, request, response)
	return response
}

func isIntrospection(field graphql.CollectedField) bool { return strings.HasPrefix(field.Name, "__") }

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
