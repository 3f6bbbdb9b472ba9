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
