package activity

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/page"
)

// Store persists activities. Each write is one durable transaction of activities and their events.
type Store interface {
	// Create inserts an activity and emits its event. If the account has an activity with the same source and
	// external id, it returns that one, also under concurrent calls. A repeat of the idempotency key returns the
	// first result.
	Create(ctx context.Context, key idempotency.Key, created Activity) (Activity, error)

	// Import creates or replaces a batch in one transaction. A stored activity with the same source and external id
	// is replaced if the digests differ. A name that its owner has withdrawn is Repeated.
	Import(ctx context.Context, batch []ImportedActivity, at time.Time) (ImportCounts, error)
	// Change applies a decision to an activity. Changes of one activity are serial. The store may retry decide. Its
	// error is returned unchanged. NOT_FOUND if the activity does not exist.
	Change(ctx context.Context, id string, decide Decide) (Activity, error)
	// History returns the earlier versions of an activity, the newest first.
	History(ctx context.Context, id string) ([]Revision, error)
	// DeleteHistory deletes at most limit earlier versions that were replaced before the time, the oldest first.
	DeleteHistory(ctx context.Context, before time.Time, limit int) (int64, error)

	// Get returns the existing and visible activities, in any order.
	Get(ctx context.Context, ids []string, visible entity.Visibility) ([]Activity, error)

	// List returns a page of the selection, the newest start first.
	List(ctx context.Context, selection Selection, request page.Request) (page.Page[Activity], error)

	// Sum returns the sum of the amounts of the selection, and their number.
	Sum(ctx context.Context, selection Selection) (sum float64, count int64, err error)

	// Amounts calls visit for each activity of the selection with an amount, the newest start first, without
	// buffering rows. An error of visit ends it and is returned unchanged.
	Amounts(ctx context.Context, selection Selection, visit func(Amount) error) error
}

// Decide returns the change of an activity; nil for none.
type Decide func(Activity) (*Change, error)

// Change is an activity in the state to store. An activity with WithdrawnAt is removed, and stays in the history.
type Change struct {
	Activity Activity
	By       string // the caller
}

// Amount is the amount of one activity.
type Amount struct {
	ActivityID string
	Version    int64
	StartedAt  time.Time
	Value      float64
}
