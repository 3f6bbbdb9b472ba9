package activity

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/input"
)

// UpdateInput replaces the named fields of an activity with those of Activity. A named field without a value is removed.
type UpdateInput struct {
	ID              string
	ExpectedVersion *int64
	Activity        Activity
	Fields          []string // the names in Fields()
}

// setters has the fields that an update may name.
func setters() map[string]func(to *Activity, from Activity) {
	return map[string]func(to *Activity, from Activity){
		"kind":         func(to *Activity, from Activity) { to.Kind = from.Kind },
		"title":        func(to *Activity, from Activity) { to.Title = from.Title },
		"content":      func(to *Activity, from Activity) { to.Content = from.Content },
		"startedAt":    func(to *Activity, from Activity) { to.StartedAt = from.StartedAt },
		"endedAt":      func(to *Activity, from Activity) { to.EndedAt = from.EndedAt },
		"actor":        func(to *Activity, from Activity) { to.Actor = from.Actor },
		"organisation": func(to *Activity, from Activity) { to.Organisation = from.Organisation },
		"subject":      func(to *Activity, from Activity) { to.Subject = from.Subject },
		"amount":       func(to *Activity, from Activity) { to.Amount = from.Amount },
		"unit":         func(to *Activity, from Activity) { to.Unit = from.Unit },
		"position":     func(to *Activity, from Activity) { to.Position = from.Position },
		"sky":          func(to *Activity, from Activity) { to.Sky = from.Sky },
		"observation":  func(to *Activity, from Activity) { to.Observation = from.Observation },
		"deviceId":     func(to *Activity, from Activity) { to.DeviceID = from.DeviceID },
		"tripId":       func(to *Activity, from Activity) { to.TripID = from.TripID },
		"jobId":        func(to *Activity, from Activity) { to.JobID = from.JobID },
		"links":        func(to *Activity, from Activity) { to.Links = from.Links },
		"data":         func(to *Activity, from Activity) { to.Data = from.Data },
	}
}

// Update corrects an activity of the caller, or any for staff. Without a change the version stays.
func (s *Service) Update(ctx context.Context, in UpdateInput) (Activity, error) {
	return s.change(ctx, in.ID, in.ExpectedVersion, func(a Activity, now time.Time) (*Activity, error) {
		changed, err := in.apply(a, now)
		if err != nil || changed.equals(a) {
			return nil, err
		}
		changed.Version, changed.UpdatedAt = a.Version+1, now
		return &changed, nil
	})
}

func (in UpdateInput) apply(a Activity, now time.Time) (Activity, error) {
	known, changed := setters(), a
	for _, field := range in.Fields {
		set, ok := known[field]
		if !ok {
			return a, errs.Invalid("fields", "%.80q is not a field of an activity that can change", field)
		}
		set(&changed, in.Activity)
	}
	if changed.Kind == Hydration && a.Title == WaterTitle(a.Amount) && !slices.Contains(in.Fields, "title") {
		changed.Title = WaterTitle(changed.Amount)
	}
	if changed.StartedAt.IsZero() {
		return a, errs.Invalid("startedAt", "is missing")
	}
	if slices.Contains(in.Fields, "startedAt") || slices.Contains(in.Fields, "kind") {
		if err := changed.checkClock(now); err != nil {
			return a, err
		}
	}
	return changed.checked(now)
}

// WaterTitle is the title of water that has no title of its own.
func WaterTitle(ml *float64) string {
	if ml == nil {
		return ""
	}
	return fmt.Sprintf("Water, %g ml", *ml)
}

func (a Activity) equals(b Activity) bool {
	first, err := json.Marshal(a)
	second, otherErr := json.Marshal(b)
	return err == nil && otherErr == nil && string(first) == string(second)
}

// Withdraw removes an activity of the caller, or any for staff. Its history stays for a time.
func (s *Service) Withdraw(ctx context.Context, id string, expectedVersion *int64) (Activity, error) {
	return s.change(ctx, id, expectedVersion, func(a Activity, now time.Time) (*Activity, error) {
		a.Version, a.UpdatedAt, a.WithdrawnAt = a.Version+1, now, &now
		return &a, nil
	})
}

func (s *Service) change(ctx context.Context, id string, expectedVersion *int64, decide func(a Activity, now time.Time) (*Activity, error)) (Activity, error) {
	who, err := caller.Require(ctx, caller.ActivityWrite)
	if err != nil {
		return Activity{}, err
	}
	if err := input.ID("id", ids.Activity, id); err != nil {
		return Activity{}, err
	}
	// Before the lock, so that timing does not reveal an activity that the caller does not see.
	found, err := s.store.Get(ctx, []string{id}, entity.Activity.Visibility(who))
	if err != nil {
		return Activity{}, err
	}
	if len(found) == 0 {
		return Activity{}, errs.Missing("activity", id)
	}
	now := s.clock.Now()
	return s.store.Change(ctx, id, func(a Activity) (*Change, error) {
		if err := a.checkChange(who, expectedVersion); err != nil {
			return nil, err
		}
		changed, err := decide(a, now)
		if err != nil || changed == nil {
			return nil, err
		}
		return &Change{Activity: *changed, By: who.Name()}, nil
	})
}

func (a Activity) checkChange(who caller.Caller, expectedVersion *int64) error {
	if !entity.Activity.Sees(who, a.Facts()) {
		return errs.Missing("activity", a.ID)
	}
	if a.AccountID == "" && !who.Staff() {
		return errs.Denied("only staff change public activities")
	}
	if expectedVersion != nil && *expectedVersion != a.Version {
		return errs.Conflict("activity", *expectedVersion, a.Version)
	}
	return nil
}

// History returns the earlier versions of an activity, also of a withdrawn one, the newest first. Only its owner and
// staff see them; for others it is empty.
func (s *Service) History(ctx context.Context, id string) ([]Revision, error) {
	who, err := caller.Require(ctx, caller.ActivityRead)
	if err != nil {
		return nil, err
	}
	if err := input.ID("id", ids.Activity, id); err != nil {
		return nil, err
	}
	all, err := s.store.History(ctx, id)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(r Revision) bool {
		return !entity.Activity.Sees(who, r.Activity.Facts()) || r.Activity.AccountID == "" && !who.Staff()
	}), nil
}
