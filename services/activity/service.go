package activity

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/ids"
)

// MaxImport bounds the batch of one Import.
const MaxImport = 1_000

// Service implements the use cases. It is safe for concurrent use.
type Service struct {
	store Store
	clock clock.Clock
}

// New returns the use cases over a store.
func New(store Store, clock clock.Clock) *Service {
	return &Service{store: store, clock: clock}
}

// RecordInput is a new activity.
type RecordInput struct {
	// Activity has the fields to store; ID and CreatedAt are ignored. Staff set the account; other callers record for
	// their own. The default source is "api", the default start is now.
	Activity       Activity
	IdempotencyKey string // "" for none
}

// Record stores the activity of the caller. A used source and external id return the first activity (deduplication).
func (s *Service) Record(ctx context.Context, in RecordInput) (Activity, error) {
	who, err := caller.Require(ctx, caller.ActivityWrite)
	if err != nil {
		return Activity{}, err
	}
	activity, err := in.Activity.ownedBy(who)
	activity.ID, activity.Version, activity.CreatedAt, activity.UpdatedAt = "", 0, time.Time{}, time.Time{}
	if err != nil {
		return Activity{}, err
	}
	created, err := s.newActivity(activity)
	if err != nil {
		return Activity{}, err
	}
	if err := created.checkClock(created.CreatedAt); err != nil {
		return Activity{}, err
	}
	key, err := idempotency.NewKey(ctx, in.IdempotencyKey, "RecordActivity", activity) // without defaults: they depend on the time of the call
	if err != nil {
		return Activity{}, err
	}
	return s.store.Create(ctx, key, created)
}

// ownedBy sets the owner of an activity that the caller records, or refuses the owner that it names.
func (a Activity) ownedBy(who caller.Caller) (Activity, error) {
	if who.Staff() {
		return a, nil
	}
	if who.AccountID == "" {
		return a, errs.Denied("an activity belongs to an account, and this caller has none")
	}
	if a.AccountID != "" && a.AccountID != who.AccountID {
		return a, errs.Denied("only staff record for other accounts")
	}
	a.AccountID = who.AccountID
	return a, nil
}

// newActivity returns the checked input as a new activity, with an id and the time of creation.
func (s *Service) newActivity(input Activity) (Activity, error) {
	now := s.clock.Now()
	created, err := input.checked(now)
	created.ID, created.Version, created.CreatedAt, created.UpdatedAt = ids.New(ids.Activity), 1, now, now
	created.WithdrawnAt, created.Digest = nil, ""
	return created, err
}
