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

// MaxImport is how many activities one Import takes.
const MaxImport = 1_000

// Service is the use cases. It is safe for concurrent use.
type Service struct {
	store Store
	clock clock.Clock
}

// New gives the use cases over a store.
func New(store Store, clock clock.Clock) *Service {
	return &Service{store: store, clock: clock}
}

// RecordInput asks to keep an activity.
type RecordInput struct {
	// Activity is what went on; its ID and CreatedAt are not read. Staff say whose it is; what
	// others tell is their own. Without a source it is of "api", without a start it starts now.
	Activity       Activity
	IdempotencyKey string // "" for none
}

// Record keeps what the caller tells. A source and external id that its account has told before
// answer with the first activity.
func (s *Service) Record(ctx context.Context, in RecordInput) (Activity, error) {
	who, err := caller.Require(ctx, caller.ActivityWrite)
	if err != nil {
		return Activity{}, err
	}
	told, err := in.Activity.ownedBy(who)
	told.ID, told.CreatedAt = "", time.Time{}
	if err != nil {
		return Activity{}, err
	}
	made, err := s.made(told)
	if err != nil {
		return Activity{}, err
	}
	key, err := idempotency.NewKey(ctx, in.IdempotencyKey, "RecordActivity", told) // not of what was made of it: that has the time of the call
	if err != nil {
		return Activity{}, err
	}
	return s.store.Create(ctx, key, made)
}

// ownedBy settles whose the activity is that the caller tells.
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

// made is what was told as a new activity, checked.
func (s *Service) made(told Activity) (Activity, error) {
	now := s.clock.Now()
	made, err := told.checked(now)
	made.ID, made.CreatedAt = ids.New(ids.Activity), now
	return made, err
}

// Imported is what became of an import.
type Imported struct {
	Stored   int64
	Repeated int64 // were there already
	Faults   []Fault
}

// Fault says why an activity was left out.
type Fault struct {
	Index  int // in the input
	Reason string
}

// Import keeps those of at most MaxImport activities that are good and new, in one transaction. It
// is for the system and administrators, who say whose each of them is.
func (s *Service) Import(ctx context.Context, told []Activity) (Imported, error) {
	who, err := caller.Require(ctx, caller.ActivityWrite)
	if err != nil {
		return Imported{}, err
	}
	if !who.Administers() {
		return Imported{}, errs.Denied("only administrators import activities")
	}
	if len(told) > MaxImport {
		return Imported{}, errs.Invalid("activities", "are more than %d", MaxImport)
	}
	var out Imported
	made := make([]Activity, 0, len(told))
	for i, a := range told {
		if a, err = s.made(a); err != nil {
			out.Faults = append(out.Faults, Fault{Index: i, Reason: err.Error()})
			continue
		}
		made = append(made, a)
	}
	if len(made) == 0 {
		return out, nil
	}
	if out.Stored, err = s.store.Import(ctx, made); err != nil {
		return Imported{}, err
	}
	out.Repeated = int64(len(made)) - out.Stored
	return out, nil
}
