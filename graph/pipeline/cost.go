package pipeline

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/graph/document"
	"github.com/sluicehq/sluice/graph/plan"
)

// ChargeOf returns the points that an operation was charged; nil before admission, and without budgets.
func ChargeOf(request *graphql.OperationContext) *bff.Charge {
	charge, _ := request.Stats.GetExtension(bff.ChargeExtension).(*bff.Charge)
	return charge
}

// SetCharge stores the points that admission charges for an operation.
func SetCharge(request *graphql.OperationContext, charge *bff.Charge) {
	request.Stats.SetExtension(bff.ChargeExtension, charge)
}

// deniedKey is gqlgen's key of the denied fields of a query.
const deniedKey = "denied"

// SetDenied stores the fields of a query that its caller may not read, with their errors.
func SetDenied(request *graphql.OperationContext, fields map[string]error) {
	names := slices.Sorted(maps.Keys(fields))
	request.Stats.SetExtension(deniedKey, plan.Denials{Key: strings.Join(names, " "), Fields: fields})
}

func denialsOf(request *graphql.OperationContext) plan.Denials {
	denials, _ := request.Stats.GetExtension(deniedKey).(plan.Denials)
	return denials
}

// reference is gqlgen's executor. Tests and benchmarks compare plans with it.
type reference struct {
	graphql.ExecutableSchema
	admission Admission
	weights   map[*ast.FieldDefinition]int
}

// denying makes denied fields null in gqlgen's executor.
type denying struct{ graphql.HandlerExtension }

// InterceptField is graphql.FieldInterceptor.
func (denying) InterceptField(ctx context.Context, next graphql.Resolver) (any, error) {
	field, denials := graphql.GetFieldContext(ctx), denialsOf(graphql.GetOperationContext(ctx))
	for _, object := range []string{field.Object, field.Field.ObjectDefinition.Name} {
		if err := denials.Fields[object+"."+field.Field.Name]; err != nil {
			return nil, err
		}
	}
	return next(ctx)
}

// Exec executes the operation in the context, and settles its charge by the cost of its response. The cost of
// introspection is an estimate, which is not refunded.
func (s reference) Exec(ctx context.Context) graphql.ResponseHandler {
	respond := s.ExecutableSchema.Exec(ctx)
	request := graphql.GetOperationContext(ctx)
	for _, field := range graphql.CollectFields(request, request.Operation.SelectionSet, []string{"Query"}) {
		if IsIntrospection(field) && field.Name != "__typename" {
			return respond
		}
	}
	if request.Operation.Operation == ast.Subscription || ChargeOf(request) == nil {
		return respond
	}
	counted := &meter{weights: s.weights}
	return func(ctx context.Context) *graphql.Response {
		response := respond(context.WithValue(ctx, meterKey{}, counted))
		if response != nil {
			s.admission.Settle(ctx, int(counted.points.Load()))
		}
		return response
	}
}

// meter counts the cost of an operation that gqlgen's executor runs.
type meter struct {
	weights map[*ast.FieldDefinition]int
	points  atomic.Int64
}

type meterKey struct{}

// count adds the cost of a field: a list of objects its items, anything else once. It runs concurrently.
func (m *meter) count(field *ast.Field, answer any) {
	weight := m.weights[field.Definition]
	if weight == 0 {
		return
	}
	items := 1
	if list := reflect.ValueOf(answer); field.Definition.Type.Elem != nil && len(field.SelectionSet) > 0 {
		items = 0
		if list.Kind() == reflect.Slice {
			items = list.Len()
		}
	}
	m.points.Add(int64(weight * items))
}

// weights are the costs of the fields of a schema; 0 for missing ones.
func weights(schema *ast.Schema) map[*ast.FieldDefinition]int {
	all := map[*ast.FieldDefinition]int{}
	for _, definition := range schema.Types {
		if definition.Kind != ast.Object && definition.Kind != ast.Interface || strings.HasPrefix(definition.Name, "__") {
			continue
		}
		for _, field := range definition.Fields {
			if weight := document.Weight(schema, field); weight > 0 && !strings.HasPrefix(field.Name, "__") {
				all[field] = weight
			}
		}
	}
	return all
}
