package pipeline

import (
	"context"
	"maps"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/graph/document"
	"github.com/sluicehq/sluice/internal/caller"
)

// CostHeader asks for extensions.cost, with "1". Programs with an API key get it unasked.
const CostHeader = "Sluice-Cost"

// ChargeOf tells what an operation was charged; nil when it did not get as far, or nobody counts.
func ChargeOf(request *graphql.OperationContext) *bff.Charge {
	charge, _ := request.Stats.GetExtension(bff.ChargeExtension).(*bff.Charge)
	return charge
}

// charge takes what the operation costs from its caller's budget, before it runs. It is the last
// thing that can refuse it.
func (o *operation) charge(ctx context.Context, request *graphql.OperationContext, prepared *document.Prepared) error {
	points, err := prepared.Price(request.Variables, o.limits)
	if err != nil || o.budgets == nil {
		return err
	}
	left, err := o.budgets.Take(ctx, request.RawQuery, points)
	charge := &bff.Charge{Requested: points, Budget: left}
	if err == nil {
		charge.Actual = points
	}
	request.Stats.SetExtension(bff.ChargeExtension, charge)
	return err
}

// spent settles the charge of the operation in ctx, whose answer cost the points. A subscription is
// paid for whole when it starts.
func (o Options) spent(ctx context.Context, points int) {
	request := graphql.GetOperationContext(ctx)
	charge := ChargeOf(request)
	if charge == nil || o.Budgets == nil || request.Operation.Operation == ast.Subscription {
		return
	}
	charge.Settle(ctx, o.Budgets, max(points, 1))
}

// reference is gqlgen's own executor. Tests and benchmarks compare the responses and costs of plans with it.
type reference struct {
	graphql.ExecutableSchema
	options Options
	weights map[*ast.FieldDefinition]int
}

// Exec executes the operation in the context, and settles its charge by the cost of its response. The cost
// of introspection is an estimate, which stays charged.
func (s reference) Exec(ctx context.Context) graphql.ResponseHandler {
	respond := s.ExecutableSchema.Exec(ctx)
	request := graphql.GetOperationContext(ctx)
	for _, field := range graphql.CollectFields(request, request.Operation.SelectionSet, []string{"Query"}) {
		if isIntrospection(field) && field.Name != "__typename" {
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
			s.options.spent(ctx, int(counted.points.Load()))
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

// count adds what a field cost: a list of objects its items, anything else once. It runs for every
// field, at the same time as others.
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

// weights are what the fields of a schema cost; those that are not there cost nothing.
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

// WantsCost tells whether extensions.cost is for the caller.
func WantsCost(who caller.Caller, headers http.Header) bool {
	return who.APIKeyID != "" || headers.Get(CostHeader) == "1"
}

// CostOf gives extensions.cost of a charge to those who want it, else nil.
func CostOf(ctx context.Context, headers http.Header, charge *bff.Charge) map[string]any {
	if charge == nil || !WantsCost(caller.FromContext(ctx), headers) {
		return nil
	}
	return map[string]any{"cost": map[string]any{
		"requested":        charge.Requested,
		"actual":           charge.Actual,
		"limit":            charge.Budget.Limit,
		"remaining":        charge.Budget.Remaining,
		"restorePerSecond": charge.Budget.RestorePerSecond,
	}}
}

// showCost adds extensions.cost for those who want it. Events of a subscription are not charged.
func showCost(ctx context.Context, request *graphql.OperationContext, response *graphql.Response) {
	if response == nil || request.Operation.Operation == ast.Subscription {
		return
	}
	shown := CostOf(ctx, request.Headers, ChargeOf(request))
	if response.Extensions == nil {
		response.Extensions = shown
		return
	}
	maps.Copy(response.Extensions, shown)
}
