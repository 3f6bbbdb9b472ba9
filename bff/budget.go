package bff

import "context"

// Budget is what a caller may spend, in points.
type Budget struct {
	Limit            int // of a minute, and at most at once
	Remaining        int
	RestorePerSecond float64
}

// Budgets is what callers have left to spend. The caller is that of the context.
type Budgets interface {
	// Take takes points for a document before they are spent, all or none. A refusal is
	// RESOURCE_EXHAUSTED with the time after which the caller will have them; until then the same
	// document may be refused without a look. The budget is what is left, in both cases.
	Take(ctx context.Context, document string, points int) (Budget, error)
	// Give gives points back that were not spent.
	Give(ctx context.Context, points int)
}

// ChargeExtension is the name under which an operation's statistics hold its *Charge.
const ChargeExtension = "charge"

// Charge is the points that an operation took from its caller's budget.
type Charge struct {
	Requested int    // the points of the most expensive response
	Actual    int    // the points of the response itself; 0 when the operation was refused
	Budget    Budget // the rest of the caller's budget
}

// Settle refunds the points that were taken and not spent.
func (c *Charge) Settle(ctx context.Context, budgets Budgets, spent int) {
	unspent := c.Actual - spent
	if unspent <= 0 {
		return
	}
	budgets.Give(ctx, unspent)
	c.Budget.Remaining = min(c.Budget.Remaining+unspent, c.Budget.Limit)
	c.Actual = spent
}
