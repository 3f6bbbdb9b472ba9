package activity

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/page"
)

// Store keeps activities. Each write is one transaction: activities and their events are there
// together or not at all, and durable when the method returns nil.
type Store interface {
	// Create keeps a new activity and emits its event. When the account has one of the same source
	// and external id, it gives that one instead, however many ask at once. A repeat under the key
	// gives the first result.
	Create(ctx context.Context, key idempotency.Key, made Activity) (Activity, error)

	// Import does what Create does for all of them, in one transaction, and tells how many were new.
	Import(ctx context.Context, made []Activity) (stored int64, err error)

	// Get gives those of the activities that there are and can be seen, in any order.
	Get(ctx context.Context, ids []string, visible entity.Visibility) ([]Activity, error)

	// List gives a page of the selection, the newest start first.
	List(ctx context.Context, selection Selection, request page.Request) (page.Page[Activity], error)

	// Sum adds up the amounts of the selection, and tells how many activities have one.
	Sum(ctx context.Context, selection Selection) (sum float64, count int64, err error)

	// Amounts visits the activities of the selection that have an amount, the newest start first,
	// and holds one at a time. An error of visit ends it and comes back as it is.
	Amounts(ctx context.Context, selection Selection, visit func(Amount) error) error
}

// Amount is the amount of one activity.
type Amount struct {
	ActivityID string
	StartedAt  time.Time
	Value      float64
}
