package admission

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/abuse"
	"github.com/sluicehq/sluice/bff/overload"
	"github.com/sluicehq/sluice/bff/quota"
	"github.com/sluicehq/sluice/graph"
	"github.com/sluicehq/sluice/graph/document"
	"github.com/sluicehq/sluice/internal/caller"
)

// Check is one reason to refuse a request or an operation.
type Check struct {
	Step   string // arrive, pipeline or admit
	Name   string
	Reason string // of its refusal; several, separated by commas
}

// Checks returns all checks in their order. The pipeline's checks are between those of arrive and admit.
func Checks() []Check {
	all := []Check{
		{"arrive", "block list", quota.ReasonExhausted},
		{"arrive", "credentials breaker", abuse.ReasonTripped},
		{"arrive", "requests in flight", "TOO_MANY_REQUESTS_IN_FLIGHT"},
	}
	for _, c := range textChecks {
		all = append(all, Check{"arrive", c.name, c.reason})
	}
	all = append(all, Check{"pipeline", "persisted document, size, syntax, validation", "PERSISTED_QUERY_NOT_FOUND, TOO_MANY_TOKENS, GRAPHQL_PARSE_FAILED, GRAPHQL_VALIDATION_FAILED"})
	for _, c := range operationChecks {
		all = append(all, Check{"admit", c.name, c.reason})
	}
	return all
}

// textCheck checks the text of a document before it is parsed.
type textCheck struct {
	name, reason string
	run          func(c *Controller, ctx context.Context, o *Operation, text string) error
}

// textChecks are cheap: a caller that misbehaves is refused before its document costs anything.
var textChecks = []textCheck{
	{"overload", overload.Reason, func(c *Controller, ctx context.Context, _ *Operation, text string) error {
		return c.overload.Admit(ctx, text)
	}},
	{"breaker of the caller", abuse.ReasonTripped, func(c *Controller, ctx context.Context, _ *Operation, text string) error {
		return c.abuse.Unread(ctx, text)
	}},
	{"early budget", quota.ReasonExhausted, (*Controller).checkEarly},
}

// operationCheck checks a parsed and validated operation.
type operationCheck struct {
	name, reason string
	run          func(c *Controller, ctx context.Context, request *graphql.OperationContext, prepared *document.Prepared) error
}

// operationChecks end with the charge, because a later check would need a refund.
var operationChecks = []operationCheck{
	{"breaker of the kind", abuse.ReasonTripped, func(c *Controller, ctx context.Context, request *graphql.OperationContext, _ *document.Prepared) error {
		return c.abuse.Admit(ctx, kindOf(request.Operation))
	}},
	{"nested lists", "TOO_MANY_NESTED_LISTS", func(c *Controller, _ context.Context, _ *graphql.OperationContext, prepared *document.Prepared) error {
		return prepared.CheckLimits(c.limits)
	}},
	{"scopes", "SIGN_IN_REQUIRED, SCOPE_MISSING", (*Controller).checkAccess},
	{"introspection", "INTROSPECTION_DISABLED", func(c *Controller, ctx context.Context, _ *graphql.OperationContext, prepared *document.Prepared) error {
		if c.introspection {
			return nil
		}
		return prepared.CheckIntrospection(caller.FromContext(ctx))
	}},
	{"variables", "GRAPHQL_VALIDATION_FAILED", func(_ *Controller, _ context.Context, request *graphql.OperationContext, prepared *document.Prepared) error {
		if err := prepared.CheckVariables(request.Variables); err != nil {
			return graph.Invalid("%s", err)
		}
		return nil
	}},
	{"one stream per subscription", "GRAPHQL_VALIDATION_FAILED", checkOneStream},
	{"loop of mutations", abuse.ReasonLoop, func(c *Controller, ctx context.Context, request *graphql.OperationContext, _ *document.Prepared) error {
		return c.abuse.CheckLoop(ctx, targets(c.schema, request))
	}},
	{"cost", "QUERY_TOO_EXPENSIVE, " + quota.ReasonExhausted, (*Controller).charge},
}

// checkEarly refuses a document that the caller cannot pay for yet.
func (c *Controller) checkEarly(ctx context.Context, o *Operation, text string) error {
	left, points, err := c.budgets.CheckRepeat(ctx, text)
	if err != nil {
		o.Budget, o.charge = left, &bff.Charge{Requested: points, Budget: left}
	}
	return err
}

// checkOneStream refuses a subscription to several streams, which validation accepts if they are one field under
// several aliases, and to none, by @skip or @include.
func checkOneStream(_ *Controller, _ context.Context, request *graphql.OperationContext, _ *document.Prepared) error {
	if request.Operation.Operation != ast.Subscription {
		return nil
	}
	streams := graphql.CollectFields(request, request.Operation.SelectionSet, []string{"Subscription"})
	if len(streams) != 1 {
		return graph.Invalid("a subscription must select one field of Subscription, and this one selects %d", len(streams))
	}
	return nil
}
