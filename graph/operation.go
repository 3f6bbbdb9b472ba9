package graph

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/graph/document"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/obs"
	"github.com/sluicehq/sluice/loaders"
)

// operation is what happens around every operation: it is let in or refused, gets loaders of its
// own, and is traced.
type operation struct {
	ports     loaders.Ports
	limits    document.Limits
	budgets   bff.Budgets // nil charges nobody
	conduct   bff.Conduct // nil watches nobody
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
	graphql.RootFieldInterceptor
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
	if o.conduct != nil {
		if err := o.conduct.Admit(ctx, kindOf(request.Operation)); err != nil {
			return gqlerror.Wrap(err)
		}
	}
	prepared := preparedOf(request)
	if err := prepared.Within(o.limits); err != nil {
		return gqlerror.Wrap(err)
	}
	if err := prepared.Admit(caller.FromContext(ctx)); err != nil {
		o.keepRefused(ctx, request, err)
		return gqlerror.Wrap(err)
	}
	if !o.introspection {
		if err := prepared.AdmitLook(caller.FromContext(ctx)); err != nil {
			return gqlerror.Wrap(err)
		}
	}
	if err := prepared.CheckVariables(request.Variables); err != nil {
		return Invalid("%s", err)
	}
	if err := oneStream(request); err != nil {
		return err
	}
	if o.conduct != nil {
		if err := o.conduct.Repeat(ctx, targets(o.documents.schema, request)); err != nil {
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
		return Invalid("a subscription must select one field of Subscription, and this one selects %d", len(streams))
	}
	return nil
}

type togetherKey struct{}

// InterceptOperation gives mutations their loaders; what is planned has no use for them.
func (o *operation) InterceptOperation(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	request := graphql.GetOperationContext(ctx)
	if request.Operation.Operation == ast.Mutation {
		ctx = loaders.NewContext(ctx, loaders.NewSet(o.ports))
	}
	return o.answered(ctx, request, next)
}

// stock is gqlgen's own executor, for what is not planned: its queries need loaders that wait for
// each other.
type stock struct {
	graphql.ExecutableSchema
	options Options
	ports   loaders.Ports
	weights map[*ast.FieldDefinition]int
}

// Exec executes the operation in the context.
func (s stock) Exec(ctx context.Context) graphql.ResponseHandler {
	respond := s.ExecutableSchema.Exec(ctx)
	request := graphql.GetOperationContext(ctx)
	switch request.Operation.Operation {
	case ast.Mutation:
		return s.metered(request, respond)
	case ast.Subscription:
		return func(ctx context.Context) *graphql.Response {
			return respond(loaders.NewContext(ctx, loaders.NewSet(s.ports)))
		}
	}
	fields, introspects := rootFields(request)
	set, together := loaders.NewSet(s.ports), loaders.NewTogether(fields)
	answered := func(ctx context.Context) *graphql.Response {
		return respond(context.WithValue(loaders.NewContext(ctx, set), togetherKey{}, together))
	}
	if introspects {
		return answered // its price is a guess that nothing corrects
	}
	return s.metered(request, answered)
}

// metered counts what the answer costs, and settles with that.
func (s stock) metered(request *graphql.OperationContext, respond graphql.ResponseHandler) graphql.ResponseHandler {
	if ChargeOf(request) == nil {
		return respond
	}
	counted := &meter{weights: s.weights}
	return func(ctx context.Context) *graphql.Response {
		response := respond(context.WithValue(ctx, meterKey{}, counted))
		if response != nil && response.HasNext == nil {
			s.options.spent(ctx, int(counted.points.Load()))
		}
		return response
	}
}

// rootFields counts those that are not of introspection, and tells whether others are.
func rootFields(request *graphql.OperationContext) (n int, introspects bool) {
	for _, field := range graphql.CollectFields(request, request.Operation.SelectionSet, []string{"Query"}) {
		if !isIntrospection(field) {
			n++
		} else if field.Name != "__typename" {
			introspects = true
		}
	}
	return n, introspects
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

// rootField is a root field of a query on its way.
type rootField struct {
	together *loaders.Together
	arrive   func() // may be called more than once
}

type rootKey struct{}

// InterceptRootField sees to it that a root field arrives even if its resolver never gets to run, as
// when an argument does not read, so that the others do not wait for it.
func (o *operation) InterceptRootField(ctx context.Context, next graphql.RootResolver) graphql.Marshaler {
	together, ok := ctx.Value(togetherKey{}).(*loaders.Together)
	if !ok || isIntrospection(graphql.GetRootFieldContext(ctx).Field) {
		return next(ctx)
	}
	arrive := sync.OnceFunc(together.Arrive)
	defer arrive()
	return next(context.WithValue(ctx, rootKey{}, rootField{together, arrive}))
}

func isIntrospection(field graphql.CollectedField) bool { return strings.HasPrefix(field.Name, "__") }

// InterceptField traces resolvers, lets the root fields of a query go down together, and lets
// each root field of a mutation show what it changed: mutations run one after another.
func (o *operation) InterceptField(ctx context.Context, next graphql.Resolver) (any, error) {
	field := graphql.GetFieldContext(ctx)
	if m, ok := ctx.Value(meterKey{}).(*meter); ok {
		metered := next
		next = func(ctx context.Context) (any, error) {
			answer, err := metered(ctx)
			m.count(field.Field.Field, answer)
			return answer, err
		}
	}
	if !field.IsResolver {
		return next(ctx)
	}
	ctx, span := o.tracing.Start(ctx, field.Object+"."+field.Field.Name)
	defer span.End()
	if reads := bff.ReadsOf(ctx); reads.ByField() {
		ctx = bff.WithReads(ctx, reads.At(pathOf(field)))
	}
	switch field.Object {
	case "Mutation":
		answer, err := next(ctx)
		loaders.FromContext(ctx).Forget(o.ports)
		return answer, err
	case "Query":
		answer, err := next(ctx)
		if root, ok := ctx.Value(rootKey{}).(rootField); ok && err == nil {
			root.arrive()
			root.together.Wait(ctx)
		}
		return answer, err
	}
	return next(ctx)
}
