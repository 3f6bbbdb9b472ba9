package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/services/activity"
)

func get(t *testing.T, s activity.Store, id string) activity.Activity {
	t.Helper()
	found, err := s.Get(t.Context(), []string{id}, all())
	if err != nil || len(found) != 1 {
		t.Fatalf("%d are found, %v", len(found), err)
	}
	return found[0]
}

func retitle(t *testing.T, s activity.Store, id, title, by string) activity.Activity {
	t.Helper()
	after, err := s.Change(t.Context(), id, func(a activity.Activity) (*activity.Change, error) {
		a.Title, a.Version, a.UpdatedAt = title, a.Version+1, a.UpdatedAt.Add(time.Hour)
		return &activity.Change{Activity: a, By: by}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return after
}

func withdraw(t *testing.T, s activity.Store, id, by string) {
	t.Helper()
	_, err := s.Change(t.Context(), id, func(a activity.Activity) (*activity.Change, error) {
		at := a.UpdatedAt.Add(time.Hour)
		a.Version, a.UpdatedAt, a.WithdrawnAt = a.Version+1, at, &at
		return &activity.Change{Activity: a, By: by}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func doImport(t *testing.T, s activity.Store, batch ...activity.ImportedActivity) activity.ImportCounts {
	t.Helper()
	counts, err := s.Import(t.Context(), batch, noon().Add(24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return counts
}

func changes(t *testing.T, s activity.Store) {
	first := create(t, s, full())
	second := retitle(t, s, first.ID, "Corrected", "account_1")
	third := retitle(t, s, first.ID, "Corrected again", "key_1")
	if got := get(t, s, first.ID); !reflect.DeepEqual(got, third) {
		t.Errorf("reads back as\n%+v, want\n%+v", got, third)
	}
	history, err := s.History(t.Context(), first.ID)
	want := []activity.Revision{
		{Activity: second, ReplacedAt: third.UpdatedAt, ReplacedBy: "key_1"},
		{Activity: first, ReplacedAt: second.UpdatedAt, ReplacedBy: "account_1"},
	}
	if err != nil || !reflect.DeepEqual(history, want) {
		t.Errorf("the history is\n%+v, %v; want\n%+v", history, err, want)
	}
	if got := create(t, s, with(full(), func(a *activity.Activity) { a.AccountID = first.AccountID })); got.ID != first.ID {
		t.Error("the name of a changed activity is free")
	}
}

func withdraws(t *testing.T, s activity.Store) {
	gone, stays := create(t, s, named("a", "")), create(t, s, named("b", ""))
	withdraw(t, s, gone.ID, "account_1")
	if got := listed(t, s, every(activity.Filter{})); !slices.Equal(got, []string{stays.ID}) {
		t.Errorf("listed are %v", got)
	}
	if history, err := s.History(t.Context(), gone.ID); err != nil || len(history) != 1 || !history[0].Withdrawn {
		t.Errorf("the history is %+v, %v", history, err)
	}
	if again := create(t, s, named("a", "")); again.ID == gone.ID {
		t.Error("the name gives the withdrawn activity")
	}
}

func changeRefuses(t *testing.T, s activity.Store) {
	a := create(t, s, note(0))
	refusal := errors.New("no")
	if _, err := s.Change(t.Context(), a.ID, func(activity.Activity) (*activity.Change, error) { return nil, refusal }); !errors.Is(err, refusal) {
		t.Errorf("a refusal: %v", err)
	}
	if got, err := s.Change(t.Context(), a.ID, func(activity.Activity) (*activity.Change, error) { return nil, nil }); err != nil || !reflect.DeepEqual(got, a) {
		t.Errorf("no change: %+v, %v", got, err)
	}
	_, err := s.Change(t.Context(), ids.New(ids.Activity), func(activity.Activity) (*activity.Change, error) { return nil, nil })
	if errs.From(err).Code != errs.NotFound {
		t.Errorf("a missing activity: %v", err)
	}
	if history, err := s.History(t.Context(), a.ID); err != nil || len(history) != 0 {
		t.Errorf("the history is %+v, %v", history, err)
	}
}

func changesAtOnce(t *testing.T, s activity.Store) {
	a := create(t, s, note(0))
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() { retitle(t, s, a.ID, fmt.Sprint("Title ", i), "account_1") })
	}
	wg.Wait()
	history, err := s.History(t.Context(), a.ID)
	if got := get(t, s, a.ID); err != nil || got.Version != 17 || len(history) != 16 {
		t.Errorf("version %d, %d earlier versions, %v", got.Version, len(history), err)
	}
}

func deletesHistory(t *testing.T, s activity.Store) {
	a := create(t, s, note(0))
	for i := range 5 {
		retitle(t, s, a.ID, fmt.Sprint("Title ", i), "account_1") // at noon + 1 h, + 2 h, …
	}
	for _, want := range []int64{2, 1, 0} {
		if n, err := s.DeleteHistory(t.Context(), noon().Add(3*time.Hour+time.Minute), 2); err != nil || n != want {
			t.Errorf("%d are deleted, %v; want %d", n, err, want)
		}
	}
	if history, err := s.History(t.Context(), a.ID); err != nil || len(history) != 2 || history[1].Activity.Version != 4 {
		t.Errorf("the history is %+v, %v", history, err)
	}
}

func importsChanges(t *testing.T, s activity.Store) {
	first := imported(named("a", ""), "1")
	second := imported(with(named("a", ""), func(a *activity.Activity) { a.Title, a.StartedAt = "Moved", noon().Add(time.Hour) }), "2")
	doImport(t, s, first)
	if got := doImport(t, s, second, imported(named("b", ""), "1")); got != (activity.ImportCounts{Stored: 1, Updated: 1}) {
		t.Errorf("%+v", got)
	}
	got := get(t, s, first.Activity.ID)
	want := second.Replaces(first.Activity, noon().Add(24*time.Hour))
	if !reflect.DeepEqual(got, want) || got.Version != 2 {
		t.Errorf("reads back as\n%+v, want\n%+v", got, want)
	}
	if history, err := s.History(t.Context(), got.ID); err != nil || len(history) != 1 || history[0].ReplacedBy != "system" {
		t.Errorf("the history is %+v, %v", history, err)
	}
	// A source that does not state the start does not move the activity.
	third := imported(with(named("a", ""), func(a *activity.Activity) { a.Title = "Undated" }), "3")
	third.StartAssumed = true
	doImport(t, s, third)
	if got := get(t, s, got.ID); got.Title != "Undated" || !got.StartedAt.Equal(noon().Add(time.Hour)) {
		t.Errorf("%q at %v", got.Title, got.StartedAt)
	}
}

func importKeepsCorrection(t *testing.T, s activity.Store) {
	in := imported(named("a", ""), "1")
	doImport(t, s, in)
	retitle(t, s, in.Activity.ID, "Corrected", "account_1")
	if got := doImport(t, s, imported(named("a", ""), "1")); got != (activity.ImportCounts{Repeated: 1}) {
		t.Errorf("%+v", got)
	}
	if got := get(t, s, in.Activity.ID); got.Title != "Corrected" {
		t.Errorf("the title is %q", got.Title)
	}
}

func importKeepsWithdrawal(t *testing.T, s activity.Store) {
	in := imported(named("a", ""), "1")
	doImport(t, s, in)
	withdraw(t, s, in.Activity.ID, "account_1")
	if got := doImport(t, s, imported(named("a", ""), "2")); got != (activity.ImportCounts{Repeated: 1}) {
		t.Errorf("%+v", got)
	}
	if got := listed(t, s, every(activity.Filter{})); len(got) != 0 {
		t.Errorf("listed are %v", got)
	}
}

func waterLog(externalID string, hour int, ml float64) activity.ImportedActivity {
	a := named(externalID, "account_1")
	a.Kind, a.Amount, a.Unit, a.StartedAt = activity.Hydration, &ml, "ml", noon().Add(time.Duration(hour-12)*time.Hour)
	return imported(a, fmt.Sprint(hour, ml))
}

func dayTotal(day int, ml float64) activity.ImportedActivity {
	in := waterLog(fmt.Sprint("day ", day), 24*day, max(ml, 1))
	ended := in.Activity.StartedAt.Add(24 * time.Hour)
	in.Activity.EndedAt, in.Total = &ended, &ml
	return in
}

func importsTotals(t *testing.T, s activity.Store) {
	wantSum := func(what string, want float64, count int64) {
		t.Helper()
		if sum, n, err := s.Sum(t.Context(), every(activity.Filter{})); err != nil || sum != want || n != count {
			t.Errorf("%s: %g in %d, %v; want %g in %d", what, sum, n, err, want, count)
		}
	}
	for _, step := range []struct {
		what  string
		batch []activity.ImportedActivity
		want  activity.ImportCounts
		sum   float64
		count int64
	}{
		{"a day without water", []activity.ImportedActivity{dayTotal(0, 0)}, activity.ImportCounts{Empty: 1}, 0, 0},
		{"a morning", []activity.ImportedActivity{dayTotal(0, 500)}, activity.ImportCounts{Stored: 1}, 500, 1},
		{"the same", []activity.ImportedActivity{dayTotal(0, 500)}, activity.ImportCounts{Repeated: 1}, 500, 1},
		{"its evening", []activity.ImportedActivity{dayTotal(0, 1300)}, activity.ImportCounts{Updated: 1}, 1300, 1},
		{"two logs of it", []activity.ImportedActivity{waterLog("1", 0, 300), waterLog("2", 23, 400)}, activity.ImportCounts{Stored: 2}, 1300, 3},
		{"the rest of it", []activity.ImportedActivity{waterLog("3", 12, 600)}, activity.ImportCounts{Stored: 1}, 1300, 3},
		{"a log of the next day", []activity.ImportedActivity{waterLog("4", 24, 50)}, activity.ImportCounts{Stored: 1}, 1350, 4},
		{"a corrected log", []activity.ImportedActivity{waterLog("3", 12, 500)}, activity.ImportCounts{Updated: 1}, 1350, 5},
		{"a lower total", []activity.ImportedActivity{dayTotal(0, 1200)}, activity.ImportCounts{Updated: 1}, 1250, 4},
		{"another day", []activity.ImportedActivity{dayTotal(2, 700)}, activity.ImportCounts{Stored: 1}, 1950, 5},
		{"it had no water", []activity.ImportedActivity{dayTotal(2, 0)}, activity.ImportCounts{Updated: 1}, 1250, 4},
		{"logs, then their total", []activity.ImportedActivity{waterLog("5", 72, 300), waterLog("6", 72, 400), dayTotal(3, 700)}, activity.ImportCounts{Stored: 2, Repeated: 1}, 1950, 6},
	} {
		if got := doImport(t, s, step.batch...); got != step.want {
			t.Errorf("%s: %+v, want %+v", step.what, got, step.want)
		}
		wantSum(step.what, step.sum, step.count)
	}
}
