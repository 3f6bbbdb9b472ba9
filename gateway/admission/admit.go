package admission

import (
	"context"
	"errors"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/graph"
	"github.com/sluicehq/sluice/graph/document"
	"github.com/sluicehq/sluice/graph/pipeline"
	"github.com/sluicehq/sluice/internal/errs"
)

// Operation is an admitted, refused or executed operation.
type Operation struct {
	Context  *graphql.OperationContext // nil if refused before it was parsed
	Refusal  error                     // of the whole request, without a Response
	Response *graphql.Response         // of the refusal, or of the execution
	Ran      bool
	Budget   bff.Budget // of the caller; its limit is 0 if unknown
	Retry    error      // the refusal with a RetryAfter; nil without one

	controller *Controller
	executor   graphql.GraphExecutor
	charge     *bff.Charge
}

// Supports returns why a transport does not execute operations of a kind, or nil.
type Supports func(operation *ast.OperationDefinition) error

// Admit checks an operation, and has the pipeline parse and validate it. The operation may run if it has neither a
// Refusal nor a Response.
func (c *Controller) Admit(ctx context.Context, executor graphql.GraphExecutor, params *graphql.RawParams, supports Supports) *Operation {
	o := &Operation{controller: c, executor: executor}
	for i := range textChecks {
		if err := textChecks[i].run(c, ctx, o, params.Query); err != nil {
			c.noteRefusal(ctx, err)
			o.Retry = err
			o.Response = &graphql.Response{Errors: gqlerror.List{graph.Public(ctx, err)}, Extensions: CostOf(ctx, params.Headers, o.charge)}
			return o
		}
	}
	operation, problems := executor.CreateOperationContext(ctx, params)
	o.Context, o.charge = operation, pipeline.ChargeOf(operation)
	if operation.Operation != nil {
		if err := supports(operation.Operation); err != nil {
			o.Refund(ctx)
			if o.Refusal = c.ChargeMalformed(ctx, o); o.Refusal == nil {
				o.Refusal = err
			}
			return o
		}
	} else if problems != nil && operation.Doc != nil {
		problems = gqlerror.List{graph.NoOperation(params.OperationName)}
	}
	switch {
	case o.charge != nil:
		o.Budget = o.charge.Budget
		if len(problems) > 0 {
			o.Retry = problems[0]
		}
	case problems != nil:
		if err := c.chargeUnpriced(ctx, o, operation.RawQuery); err != nil {
			problems = gqlerror.List{gqlerror.Wrap(err)}
		}
	}
	if problems != nil {
		o.Response = executor.DispatchError(graphql.WithOperationContext(ctx, operation), graph.Truncate(problems))
	}
	return o
}

// chargeUnpriced charges one point for parsing an operation that was refused before it had a price. The error refuses
// a caller without a point.
func (c *Controller) chargeUnpriced(ctx context.Context, o *Operation, text string) error {
	o.Budget, o.Retry = bff.Budget{}, nil
	left, err := c.budgets.Charge(ctx, text, 1)
	o.Budget, o.Retry = left, err
	return err
}

// ChargeMalformed charges one point for a request that is not GraphQL, and counts it as a fault of the caller.
func (c *Controller) ChargeMalformed(ctx context.Context, o *Operation) error {
	err := c.chargeUnpriced(ctx, o, "")
	if err != nil {
		c.noteRefusal(ctx, err)
		return err
	}
	c.abuse.Note(ctx, bff.Outcome{Kind: bff.KindQuery, Points: 1, Fault: bff.FaultCaller})
	return nil
}

var _ pipeline.Admission = (*Controller)(nil)

// ExtensionName is graphql.HandlerExtension.
func (*Controller) ExtensionName() string { return "Admission" }

// Validate implements graphql.HandlerExtension. It reads the schema.
func (c *Controller) Validate(schema graphql.ExecutableSchema) error {
	c.schema = schema.Schema()
	return nil
}

// MutateOperationContext implements graphql.OperationContextMutator. It checks and charges a parsed and validated
// operation. Refusals are presented at the dispatch.
func (c *Controller) MutateOperationContext(ctx context.Context, request *graphql.OperationContext) *gqlerror.Error {
	prepared := pipeline.PreparedOf(request)
	for i := range operationChecks {
		if err := operationChecks[i].run(c, ctx, request, prepared); err != nil {
			if invalid, ok := errors.AsType[*gqlerror.Error](err); ok {
				return invalid
			}
			return gqlerror.Wrap(err)
		}
	}
	c.logMutations(ctx, request)
	c.noteStarted(ctx, request)
	return nil
}

// charge takes the cost of the operation from its caller's budget.
func (c *Controller) charge(ctx context.Context, request *graphql.OperationContext, prepared *document.Prepared) error {
	points, err := prepared.Price(request.Variables, c.limits)
	if err != nil {
		return err
	}
	left, err := c.budgets.Charge(ctx, request.RawQuery, points)
	if left.Limit == 0 {
		return err
	}
	charge := &bff.Charge{Requested: points, Budget: left}
	if err == nil {
		charge.Actual = points
	}
	pipeline.SetCharge(request, charge)
	return err
}

// CheckTogether refuses operations of one request that together cost more than one operation may, and refunds them.
func (c *Controller) CheckTogether(ctx context.Context, all []*Operation) error {
	points := 0
	for _, o := range all {
		points += o.price()
	}
	if c.limits.Cost == 0 || points <= c.limits.Cost {
		return nil
	}
	for _, o := range all {
		o.Refund(ctx)
	}
	return errs.New(errs.InvalidArgument, "QUERY_TOO_EXPENSIVE", "the operations cost %d points together; %d are allowed in one request", points, c.limits.Cost)
}

// price returns the largest cost of an admitted operation; 0 for a refused one.
func (o *Operation) price() int {
	if o.Refusal != nil || o.Response != nil || o.charge == nil {
		return 0
	}
	return o.charge.Requested
}
