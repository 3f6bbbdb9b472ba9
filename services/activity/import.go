package activity

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
)

// MaxTotal is the longest interval of a total: a local day has at most 25 hours.
const MaxTotal = 48 * time.Hour

// ImportInput is one activity of an import.
type ImportInput struct {
	Activity Activity
	// StartAssumed says that the source does not state the start. A known activity keeps its start.
	StartAssumed bool
	// Total says that the amount is the source's sum of water from the start to the end. The activity then has the
	// part that no other activity of the source explains; without such a part it does not exist.
	Total bool
}

// ImportedActivity is a checked activity of an import.
type ImportedActivity struct {
	Activity     Activity
	StartAssumed bool
	Total        *float64 // nil unless the amount is a total; 0 for an interval without water
}

// ImportCounts counts the activities of an import.
type ImportCounts struct {
	Stored   int64 // new
	Updated  int64 // known, and their source has changed
	Repeated int64 // known, without a change
	Empty    int64 // totals of 0 that were not known
}

// Imported is the result of an import.
type Imported struct {
	ImportCounts
	Faults []Fault
}

// Fault is the reason why one activity was refused.
type Fault struct {
	Index  int // in the input
	Reason string
}

// Import stores the new and changed activities of a batch of at most MaxImport, in one transaction. Only the system
// and administrators may import, and set the account of each activity.
func (s *Service) Import(ctx context.Context, batch []ImportInput) (Imported, error) {
	who, err := caller.Require(ctx, caller.ActivityWrite)
	if err != nil {
		return Imported{}, err
	}
	if !who.Administers() {
		return Imported{}, errs.Denied("only administrators import activities")
	}
	if len(batch) > MaxImport {
		return Imported{}, errs.Invalid("activities", "are more than %d", MaxImport)
	}
	var out Imported
	valid := make([]ImportedActivity, 0, len(batch))
	for i, in := range batch {
		imported, err := s.newImported(in)
		if err != nil {
			out.Faults = append(out.Faults, Fault{Index: i, Reason: err.Error()})
			continue
		}
		valid = append(valid, imported)
	}
	if len(valid) == 0 {
		return out, nil
	}
	out.ImportCounts, err = s.store.Import(ctx, valid, s.clock.Now())
	return out, err
}

func (s *Service) newImported(in ImportInput) (ImportedActivity, error) {
	out := ImportedActivity{StartAssumed: in.StartAssumed}
	if in.Total {
		if err := in.Activity.checkTotal(); err != nil {
			return out, err
		}
		total := *in.Activity.Amount
		out.Total = &total
		if total == 0 {
			least := 1.0
			in.Activity.Amount = &least // the store never writes it
		}
	}
	a, err := s.newActivity(in.Activity)
	if err != nil {
		return out, err
	}
	a.Digest, err = a.digest(in.StartAssumed)
	out.Activity = a
	return out, err
}

func (a Activity) checkTotal() error {
	switch {
	case a.Kind != Hydration || a.Amount == nil:
		return errs.Invalid("amount", "is a total of water only")
	case a.ExternalID == "":
		return errs.Invalid("externalId", "is missing for a total")
	case a.EndedAt == nil || !a.StartedAt.Before(*a.EndedAt) || a.EndedAt.Sub(a.StartedAt) > MaxTotal:
		return errs.Invalid("endedAt", "must be up to %v after startedAt for a total", MaxTotal)
	}
	return nil
}

// digest returns a hash of the values of the source.
func (a Activity) digest(startAssumed bool) (string, error) {
	a.ID, a.Version, a.Digest, a.CreatedAt, a.UpdatedAt = "", 0, "", time.Time{}, time.Time{}
	if startAssumed {
		a.StartedAt = time.Time{}
	}
	text, err := json.Marshal(a)
	if err != nil {
		return "", fmt.Errorf("hash an activity: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16]), nil
}

// Differs reports whether the source of a stored activity has changed.
func (in ImportedActivity) Differs(stored Activity) bool {
	if stored.Digest != "" {
		return stored.Digest != in.Activity.Digest
	}
	was, err := stored.digest(in.StartAssumed)
	return err != nil || was != in.Activity.Digest
}

// Replaces returns the stored activity with the values of its source.
func (in ImportedActivity) Replaces(stored Activity, at time.Time) Activity {
	a := in.Activity
	a.ID, a.Version, a.CreatedAt, a.UpdatedAt = stored.ID, stored.Version+1, stored.CreatedAt, at
	if in.StartAssumed {
		a.StartedAt = stored.StartedAt
	}
	return a
}
