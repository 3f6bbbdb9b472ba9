package admission

import (
	"context"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/graph/pipeline"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
)

// repeatsDirective marks mutations that are meant to be called repeatedly for one entity.
const repeatsDirective = "repeats"

func kindOf(operation *ast.OperationDefinition) bff.OperationKind {
	switch operation.Operation {
	case ast.Mutation:
		return bff.KindMutation
	case ast.Subscription:
		return bff.KindSubscription
	}
	return bff.KindQuery
}

// targets returns the mutations of the operation with the entities that they change: the ids among their
// arguments, and the ids that their inputs require. An optional id of an input is a reference, not a target.
func targets(schema *ast.Schema, request *graphql.OperationContext) []bff.Target {
	if request.Operation.Operation != ast.Mutation {
		return nil
	}
	var found []bff.Target
	for _, field := range graphql.CollectFields(request, request.Operation.SelectionSet, []string{"Mutation"}) {
		if pipeline.IsIntrospection(field) || field.Definition.Directives.ForName(repeatsDirective) != nil {
			continue
		}
		for _, id := range idsOf(schema, request, field) {
			found = append(found, bff.Target{Mutation: field.Name, Entity: id})
		}
	}
	return found
}

func idsOf(schema *ast.Schema, request *graphql.OperationContext, field graphql.CollectedField) []string {
	var found []string
	arguments := field.ArgumentMap(request.Variables)
	for _, argument := range field.Definition.Arguments {
		found = append(found, idsIn(schema, argument.Type, arguments[argument.Name])...)
	}
	return found
}

func idsIn(schema *ast.Schema, of *ast.Type, value any) []string {
	input, isInput := value.(map[string]any)
	if !isInput {
		id, _ := value.(string)
		if _, err := ids.Parse(id); err != nil {
			return nil
		}
		return []string{id}
	}
	var found []string
	for _, field := range schema.Types[of.Name()].Fields {
		if field.Type.NonNull && field.Type.NamedType == "ID" {
			found = append(found, idsIn(schema, field.Type, input[field.Name])...)
		}
	}
	return found
}

// note records how the operation ended. The events of a subscription say nothing about its caller.
func (c *Controller) note(ctx context.Context, request *graphql.OperationContext, response *graphql.Response) {
	outcome := bff.Outcome{Kind: bff.KindQuery}
	switch {
	case request.Operation == nil:
		if strings.Contains(request.RawQuery, string(ast.Mutation)) { // what a document was meant to be that is invalid
			outcome.Kind = bff.KindMutation
		}
	case request.Operation.Operation == ast.Subscription && len(response.Data) > 0:
		return
	default:
		outcome.Kind = kindOf(request.Operation)
	}
	if charge := pipeline.ChargeOf(request); charge != nil {
		outcome.Points = charge.Actual
	}
	outcome.Fault, outcome.Refused = verdict(request, response)
	c.abuse.Note(ctx, outcome)
}

// logMutations logs what staff change.
func (c *Controller) logMutations(ctx context.Context, request *graphql.OperationContext) {
	if request.Operation.Operation != ast.Mutation || c.security == nil {
		return
	}
	var names []string
	for _, field := range graphql.CollectFields(request, request.Operation.SelectionSet, []string{"Mutation"}) {
		names = append(names, field.Name)
	}
	c.security.RoleUsed(ctx, names)
}

// noteStarted records the start of a subscription. Its end says nothing about its caller.
func (c *Controller) noteStarted(ctx context.Context, request *graphql.OperationContext) {
	if request.Operation.Operation != ast.Subscription {
		return
	}
	outcome := bff.Outcome{Kind: bff.KindSubscription}
	if charge := pipeline.ChargeOf(request); charge != nil {
		outcome.Points = charge.Actual
	}
	c.abuse.Note(ctx, outcome)
}

// verdict returns whose fault it is that an operation has no data at all. Partial data are nobody's fault.
func verdict(request *graphql.OperationContext, response *graphql.Response) (fault bff.Fault, refused string) {
	if len(response.Errors) == 0 {
		return bff.FaultNone, ""
	}
	failed := map[string]bool{}
	for _, problem := range response.Errors {
		at := faultOf(problem)
		if len(response.Data) == 0 && at == bff.FaultNone {
			reason, _ := problem.Extensions["reason"].(string)
			return at, reason
		}
		if len(problem.Path) == 1 {
			failed[problem.Path.String()] = true
		}
		if at == bff.FaultOurs || fault == bff.FaultOurs {
			fault = bff.FaultOurs // a caller that may have failed by our fault is not blamed
		} else {
			fault = max(fault, at)
		}
	}
	if len(response.Data) > 0 && string(response.Data) != "null" {
		fields := graphql.CollectFields(request, request.Operation.SelectionSet, []string{"Query", "Mutation", "Subscription"})
		if len(failed) < len(fields) {
			return bff.FaultNone, ""
		}
	}
	return fault, ""
}

// faultOf returns whose fault an error is; FaultNone for a refusal by admission for want of points or slots.
func faultOf(problem *gqlerror.Error) bff.Fault {
	code, _ := problem.Extensions["code"].(string)
	switch errs.Code(code).Fault() {
	case errs.FaultService:
		return bff.FaultOurs
	case errs.FaultLoad:
		if errs.Code(code) == errs.ResourceExhausted && problem.Extensions["service"] == nil {
			return bff.FaultNone
		}
		return bff.FaultNeither
	}
	return bff.FaultCaller
}
