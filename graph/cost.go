package graph

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/graph/document"
	"github.com/sluicehq/sluice/internal/caller"
)

// CostHeader asks for extensions.cost, with "1". Programs with an API key get it unasked.
const CostHeader = "Sluice-Cost"

// Charge is what an operation was charged.
type Charge struct {
	Requested int        // what it costs at most, in points
	Actual    int        // what was taken and not given back: 0 when it was refused
	Budget    bff.Budget // what its caller has left
}

// chargeKey is where gqlgen keeps what extensions have to say of an operation.
const chargeKey = "charge"

// ChargeOf tells what an operation was charged; nil when it did not get as far, or nobody counts.
func ChargeOf(request *graphql.OperationContext) *Charge {
	charge, _ := request.Stats.GetExtension(chargeKey).(*Charge)
	return charge
}

// charge takes what the operation costs from its caller's budget, before it runs. It is the last
// thing that can refuse it.
func (o *operation) charge(ctx context.Context, request *graphql.OperationContext, prepared *document.Prepared) error {
	points, err := prepared.Price(request.Variables, o.limits)
	if err != nil || o.budgets == nil {
		return err
	}
	left, err := o.budgets.Take(ctx, points)
	charge := &Charge{Requested: points, Budget: left}
	if err == nil {
		charge.Actual = points
	}
	request.Stats.SetExtension(chargeKey, charge)
	return err
}

// GiveBack gives back what an operation was charged that then did not run.
func (c *Charge) GiveBack(ctx context.Context, budgets bff.Budgets) {
	budgets.Give(ctx, c.Actual)
	c.Budget.Remaining = min(c.Budget.Remaining+c.Actual, c.Budget.Limit)
	c.Actual = 0
}

// showCost adds extensions.cost for those who want it. Events of a subscription are not charged.
func showCost(ctx context.Context, request *graphql.OperationContext) {
	charge := ChargeOf(request)
	if charge == nil || request.Operation.Operation == ast.Subscription {
		return
	}
	if caller.FromContext(ctx).APIKeyID == "" && request.Headers.Get(CostHeader) != "1" {
		return
	}
	graphql.RegisterExtension(ctx, "cost", map[string]any{
		"requested":        charge.Requested,
		"actual":           charge.Actual,
		"limit":            charge.Budget.Limit,
		"remaining":        charge.Budget.Remaining,
		"restorePerSecond": charge.Budget.RestorePerSecond,
	})
}

// budgetOf is what the caller of the operation in ctx has left; nil when nobody counts.
func budgetOf(ctx context.Context) *bff.Budget {
	charge := ChargeOf(graphql.GetOperationContext(ctx))
	if charge == nil {
		return nil
	}
	return &charge.Budget
}
