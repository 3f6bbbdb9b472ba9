// Package storetest is what every activity.Store must pass.
package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/services/activity"
)

// Run runs the suite. Each call of open gives a store that holds nothing.
func Run(t *testing.T, open func(t *testing.T) activity.Store) {
	for name, test := range map[string]func(*testing.T, activity.Store){
		"an activity reads back as it was kept":           readsBack,
		"a bare activity reads back as it was kept":       bareReadsBack,
		"get leaves out what is not there or not seen":    getLeavesOut,
		"a name told again gives the first":               toldAgain,
		"a name is of its account":                        namesOfAccounts,
		"without a name every activity is new":            withoutName,
		"a name 32 times at once is kept once":            toldAtOnce,
		"a repeat under a key gives the first":            repeatedKey,
		"an import keeps what is new":                     importsNew,
		"imports of the same at once keep each once":      importsAtOnce,
		"a list runs through all, the newest start first": listsAll,
		"a list is narrowed by its filter":                listsFiltered,
		"a list is narrowed to what is seen":              listsSeen,
		"get and list follow the rule of visibility":      visibilityFollowsTheRule,
		"a list refuses foreign cursors and bad sizes":    listRefuses,
		"amounts are added up":                            sums,
		"amounts are visited, the newest start first":     visitsAmounts,
		"a cone holds what is within, edges too":          coneTable,
		"cones agree with the great circle":               coneRandom,
		"a cone holds standard coordinates only":          coneEpochs,
		"coordinates next to zero are as good as any":     coneTiny,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func noon() time.Time { return time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC) }

// note is a new activity of everybody's that started some minutes after noon.
func note(minutes int) activity.Activity {
	return activity.Activity{
		ID: ids.New(ids.Activity), Kind: activity.Note, Source: "test", Title: "A note",
		StartedAt: noon().Add(time.Duration(minutes) * time.Minute), CreatedAt: noon(),
	}
}

// told is a note by name.
func told(externalID, accountID string) activity.Activity {
	a := note(0)
	a.ExternalID, a.AccountID = externalID, accountID
	return a
}

// with is an activity with something changed.
func with(a activity.Activity, change func(*activity.Activity)) activity.Activity {
	change(&a)
	return a
}

func create(t *testing.T, s activity.Store, made activity.Activity) activity.Activity {
	t.Helper()
	kept, err := s.Create(t.Context(), idempotency.Key{}, made)
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

func all() entity.Visibility { return entity.Visibility{All: true} }

func every(f activity.Filter) activity.Selection {
	return activity.Selection{Filter: f, Visible: all()}
}

// listed is all that a selection has, up to 1,000.
func listed(t *testing.T, s activity.Store, selection activity.Selection) []string {
	t.Helper()
	p, err := s.List(t.Context(), selection, page.Request{First: page.Max, WithTotal: true})
	if err != nil {
		t.Fatal(err)
	}
	if p.Total == nil || *p.Total != int64(len(p.Items)) {
		t.Errorf("the total is %v of %d", p.Total, len(p.Items))
	}
	return idsOf(p.Items)
}

func idsOf(activities []activity.Activity) []string {
	out := make([]string, len(activities))
	for i, a := range activities {
		out[i] = a.ID
	}
	return out
}

func sorted(all []string) []string {
	all = slices.Clone(all)
	slices.Sort(all)
	return all
}
