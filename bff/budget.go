package bff

import "context"

// Budget is the token bucket of a caller, in points.
type Budget struct {
	Limit            int // points per minute, and the size of the bucket
	Remaining        int
	RestorePerSecond float64
}

// Budgets is the rate limit of callers, for the caller of the context.
type Budgets interface {
	// Charge takes the points of a document before it runs, all or none. A refusal is RESOURCE_EXHAUSTED with the
	// time until the bucket has enough points; until then the document may be refused without being parsed. The
	// returned budget is the state of the bucket in both cases.
	Charge(ctx context.Context, document string, points int) (Budget, error)
	// Refund refunds unused points.
	Refund(ctx context.Context, points int)
}

// ChargeExtension is the name of the *Charge in an operation's statistics.
const ChargeExtension = "charge"

// Charge is the points that an operation took from its caller's budget.
type Charge struct {
	Requested int    // the points of the most expensive response
	Actual    int    // the points of the response; 0 after a refusal
	Budget    Budget // the rest of the caller's budget
}

// Settle refunds the unused points.
func (c *Charge) Settle(ctx context.Context, budgets Budgets, spent int) {
	unspent := c.Actual - spent
	if unspent <= 0 {
		return
	}
	budgets.Refund(ctx, unspent)
	c.Budget.Remaining = min(c.Budget.Remaining+unspent, c.Budget.Limit)
	c.Actual = spent
}
