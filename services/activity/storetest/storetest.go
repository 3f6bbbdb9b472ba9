// Package storetest is the conformance suite of activity.Store.
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

// Run runs the suite. Each call of open returns an empty store.
func Run(t *testing.T, open func(t *testing.T) activity.Store) {
	for name, test := range map[string]func(*testing.T, activity.Store){
		"activity, read back, is unchanged":                          readsBack,
		"activity without optional fields, read back, is unchanged":  bareReadsBack,
		"get, missing or invisible ids, omits them":                  getLeavesOut,
		"create, repeated name, returns the first activity":          duplicateReturnsFirst,
		"create, same name in two accounts, stores both":             accountsHaveTheirOwnNames,
		"create without a name, repeated, stores both":               withoutName,
		"create, one name 32 times concurrently, stores one":         concurrentDuplicates,
		"create, replayed idempotency key, returns the first result": repeatedKey,
		"import, new and stored names, stores the new ones":          importsNew,
		"import, same batch concurrently, stores each once":          importsAtOnce,
		"import, changed source, replaces the values":                importsChanges,
		"import, unchanged source, keeps the owner's correction":     importKeepsCorrection,
		"import, withdrawn name, does not bring it back":             importKeepsWithdrawal,
		"import, total of a day, has what the logs do not explain":   importsTotals,
		"change, keeps the earlier version in the history":           changes,
		"change, withdrawn, is gone and its name is free":            withdraws,
		"change, refused or missing, changes nothing":                changeRefuses,
		"change, 16 times concurrently, loses none":                  changesAtOnce,
		"history, deleted by age, the oldest first":                  deletesHistory,
		"list, all pages, is complete and newest first":              listsAll,
		"list, with a filter, has the matching rows":                 listsFiltered,
		"list, with a visibility, has the visible rows":              listsVisible,
		"get and list, every caller, agree with Sees":                visibilityFollowsTheRule,
		"list, foreign cursor or bad size, is refused":               listRefuses,
		"sum, rows with and without amounts, counts the former":      sums,
		"amounts, all rows, are visited newest first":                visitsAmounts,
		"cone, table of cases, includes its edge":                    coneTable,
		"cone, random cases, agrees with the great circle":           coneRandom,
		"cone, other epochs, excludes them":                          coneEpochs,
		"cone, coordinates close to zero, do not underflow":          coneTiny,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func noon() time.Time { return time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC) }

func note(minutes int) activity.Activity {
	return activity.Activity{
		ID: ids.New(ids.Activity), Kind: activity.Note, Source: "test", Title: "A note",
		StartedAt: noon().Add(time.Duration(minutes) * time.Minute), Version: 1, CreatedAt: noon(), UpdatedAt: noon(),
	}
}

func named(externalID, accountID string) activity.Activity {
	a := note(0)
	a.ExternalID, a.AccountID = externalID, accountID
	return a
}

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
