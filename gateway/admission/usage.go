package pipeline

import (
	"context"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
)

// repeatsDirective marks mutations that are meant to be called for the same thing over and over.
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

// kindOfText guesses what a document was meant to be that does not read.
func kindOfText(document string) bff.OperationKind {
	if strings.Contains(document, string(ast.Mutation)) {
		return bff.KindMutation
	}
	return bff.KindQuery
}

// targets are the mutations of the operation and what they change: the ids among their arguments, and
// those that their inputs must have. What an input may refer to beside is not changed by it.
func targets(schema *ast.Schema, request *graphql.OperationContext) []bff.Target {
	if request.Operation.Operation != ast.Mutation {
		return nil
	}
	var found []bff.Target
	for _, field := range graphql.CollectFields(request, request.Operation.SelectionSet, []string{"Mutation"}) {
		if isIntrospection(field) || field.Definition.Directives.ForName(repeatsDirective) != nil {
			continue
		}
		arguments := field.ArgumentMap(request.Variables)
		for _, argument := range field.Definition.Arguments {
			for _, id := range idsIn(schema, argument.Type, arguments[argument.Name]) {
				found = append(found, bff.Target{Mutation: field.Name, Entity: id})
			}
		}
	}
	return found
}

// idsIn are the ids that a value of the type is, or must have.
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

// note tells how the operation ended. Events of a subscription tell nothing of its caller.
func (o *operation) note(ctx context.Context, request *graphql.OperationContext, response *graphql.Response) {
	if o.abuse == nil || response == nil {
		return
	}
	if request.Operation != nil && request.Operation.Operation == ast.Subscription && len(response.Data) > 0 {
		return
	}
	outcome := bff.Outcome{Kind: kindOfText(request.RawQuery)}
	if request.Operation != nil {
		outcome.Kind = kindOf(request.Operation)
	}
	if charge := ChargeOf(request); charge != nil {
		outcome.Points = charge.Actual
	}
	outcome.Fault, outcome.Refused = verdict(request, response)
	o.abuse.Note(ctx, outcome)
}

// noteBegun tells of a subscription that was let in; its end tells nothing of its caller.
func (o *operation) noteBegun(ctx context.Context, request *graphql.OperationContext) {
	if o.abuse == nil || request.Operation.Operation != ast.Subscription {
		return
	}
	outcome := bff.Outcome{Kind: bff.KindSubscription}
	if charge := ChargeOf(request); charge != nil {
		outcome.Points = charge.Actual
	}
	o.abuse.Note(ctx, outcome)
}

// verdict says whose fault it is that an operation gave nothing; one that gave anything is nobody's.
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
		fault = worse(fault, at)
	}
	if len(response.Data) > 0 && string(response.Data) != "null" && len(failed) < answers(request) {
		return bff.FaultNone, ""
	}
	return fault, ""
}

// answers counts what the operation asks at its root.
func answers(request *graphql.OperationContext) int {
	return len(graphql.CollectFields(request, request.Operation.SelectionSet, []string{"Query", "Mutation", "Subscription"}))
}

// worse puts our faults above all: who may have failed by one is not blamed.
func worse(a, b bff.Fault) bff.Fault {
	if a == bff.FaultOurs || b == bff.FaultOurs {
		return bff.FaultOurs
	}
	return max(a, b)
}

// faultOf says whose fault an error is; nobody's for what the gate refuses for want of budget.
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
