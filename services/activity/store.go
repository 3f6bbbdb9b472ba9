package activity

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/page"
)

// Store persists activities. Each write is one transaction: activities and their events commit together or not at all,
// and are durable when the method returns nil.
type Store interface {
	// Create inserts an activity and emits its event. When the account has an activity with the same source and
	// external id, it returns that one, also under concurrent calls. A replay of the idempotency key returns the
	// first result.
	Create(ctx context.Context, key idempotency.Key, created Activity) (Activity, error)

	// Import creates a batch in one transaction, and returns the number of new activities.
	Import(ctx context.Context, created []Activity) (stored int64, err error)

	// Get returns the activities that exist and are visible, in any order.
	Get(ctx context.Context, ids []string, visible entity.Visibility) ([]Activity, error)

	// List returns a page of the selection, the newest start first.
	List(ctx context.Context, selection Selection, request page.Request) (page.Page[Activity], error)

	// Sum returns the sum of the amounts of the selection, and the number of activities with an amount.
	Sum(ctx context.Context, selection Selection) (sum float64, count int64, err error)

	// Amounts calls visit for each activity of the selection with an amount, the newest start first. It buffers one
	// row at a time. An error of visit stops the iteration and is returned unchanged.
	Amounts(ctx context.Context, selection Selection, visit func(Amount) error) error
}

// Amount is the amount of one activity.
type Amount struct {
	ActivityID string
	StartedAt  time.Time
	Value      float64
}
