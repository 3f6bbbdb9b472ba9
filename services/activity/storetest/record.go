package storetest

import (
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/services/activity"
)

func full() activity.Activity {
	ended := noon().Add(90*time.Second + 123*time.Microsecond)
	amount, accuracy := 1.0/3, 12.5
	return activity.Activity{
		ID: ids.New(ids.Activity), Kind: activity.Observed, Source: "robotic-telescope", ExternalID: "request 7",
		AccountID: ids.New(ids.Account), Title: "Horsehead Nebula", Content: "First line\nsecond: ünïcödé",
		StartedAt: noon(), EndedAt: &ended, Actor: "Ada", Organisation: "Observatory", Subject: "Barnard 33",
		Amount: &amount, Unit: "mag",
		Position: &activity.Position{Latitude: 41.66, Longitude: -91.53, At: noon(), Accuracy: &accuracy, Place: "Iowa City"},
		Sky:      &activity.Sky{RightAscension: 85.24583333333334, Declination: -2.4583333333333335, Epoch: "J2000"},
		Observation: activity.Observation{
			Site: "Winer", Telescope: "Gemini", Instrument: "R", Programme: "cas85.sch", Observer: "o1",
			Target: "Barnard 33", Status: "DONE",
		},
		DeviceID: ids.New(ids.Device), TripID: ids.New(ids.Trip), JobID: ids.New(ids.Job),
		Links: []activity.Link{{URL: "https://example.org/a?b=c", Title: "image"}, {URL: "http://example.org"}},
		Data:  `{"b": [1, 2.50], "a": null}`, Version: 1, CreatedAt: noon().Add(time.Hour), UpdatedAt: noon().Add(time.Hour),
	}
}

func readsBack(t *testing.T, s activity.Store) { storedUnchanged(t, s, full()) }

func bareReadsBack(t *testing.T, s activity.Store) { storedUnchanged(t, s, note(0)) }

func storedUnchanged(t *testing.T, s activity.Store, want activity.Activity) {
	t.Helper()
	if got := create(t, s, want); !reflect.DeepEqual(got, want) {
		t.Errorf("answers with\n%+v, want\n%+v", got, want)
	}
	got, err := s.Get(t.Context(), []string{want.ID}, all())
	if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], want) {
		t.Errorf("reads back as\n%+v, %v, want\n%+v", got, err, want)
	}
}

func getLeavesOut(t *testing.T, s activity.Store) {
	mine, others := ids.New(ids.Account), ids.New(ids.Account)
	public, own, foreign := create(t, s, named("a", "")), create(t, s, named("b", mine)), create(t, s, named("c", others))
	asked := []string{public.ID, own.ID, foreign.ID, ids.New(ids.Activity), "no id"}
	for name, tt := range map[string]struct {
		visible entity.Visibility
		want    []string
	}{
		"staff":        {all(), []string{public.ID, own.ID, foreign.ID}},
		"an account":   {entity.Visibility{Owner: mine, Public: true}, []string{public.ID, own.ID}},
		"nobody known": {entity.Visibility{Public: true}, []string{public.ID}},
	} {
		got, err := s.Get(t.Context(), asked, tt.visible)
		if err != nil || !slices.Equal(sorted(idsOf(got)), sorted(tt.want)) {
			t.Errorf("%s: %v, %v; want %v", name, idsOf(got), err, tt.want)
		}
	}
}

func duplicateReturnsFirst(t *testing.T, s activity.Store) {
	want := create(t, s, full())
	again := named(want.ExternalID, want.AccountID)
	again.Source = want.Source
	if got := create(t, s, again); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v, want\n%+v", got, want)
	}
	if got := listed(t, s, every(activity.Filter{})); !slices.Equal(got, []string{want.ID}) {
		t.Errorf("there are %v", got)
	}
}

func accountsHaveTheirOwnNames(t *testing.T, s activity.Store) {
	for _, account := range []string{"", ids.New(ids.Account), ids.New(ids.Account)} {
		for _, source := range []string{"one", "two"} {
			made := with(named("same", account), func(a *activity.Activity) { a.Source = source })
			if got := create(t, s, made); got.ID != made.ID {
				t.Errorf("%s of %q gives another one's", source, account)
			}
		}
	}
}

func withoutName(t *testing.T, s activity.Store) {
	create(t, s, named("", ""))
	create(t, s, named("", ""))
	if got := listed(t, s, every(activity.Filter{})); len(got) != 2 {
		t.Errorf("%d are kept", len(got))
	}
}

func concurrentDuplicates(t *testing.T, s activity.Store) {
	got := make([]activity.Activity, 32)
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() {
			var err error
			if got[i], err = s.Create(t.Context(), idempotency.Key{}, named("same", "")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	kept := listed(t, s, every(activity.Filter{}))
	if len(kept) != 1 {
		t.Fatalf("%d are kept", len(kept))
	}
	for _, a := range got {
		if a.ID != kept[0] {
			t.Errorf("one was answered with %s, kept is %s", a.ID, kept[0])
		}
	}
}

func repeatedKey(t *testing.T, s activity.Store) {
	key := idempotency.Key{Caller: "account_1", Value: "k", Fingerprint: "f"}
	want, err := s.Create(t.Context(), key, full())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Create(t.Context(), key, note(5)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("the repeat gives\n%+v, %v, want\n%+v", got, err, want)
	}
	key.Fingerprint = "other"
	if _, err := s.Create(t.Context(), key, note(6)); errs.From(err).Reason != errs.ReasonKeyReused {
		t.Errorf("the key with another input: %v", err)
	}
}

func night(from, to int) []activity.ImportedActivity {
	var made []activity.ImportedActivity
	for i := from; i < to; i++ {
		made = append(made, imported(named(fmt.Sprint("request ", i), ""), "digest"))
	}
	return made
}

func imported(a activity.Activity, digest string) activity.ImportedActivity {
	a.Digest = digest
	return activity.ImportedActivity{Activity: a}
}

func importsNew(t *testing.T, s activity.Store) {
	for _, tt := range []struct {
		made []activity.ImportedActivity
		want int64
	}{{night(0, 10), 10}, {night(0, 10), 0}, {night(5, 15), 5}, {append(night(20, 21), night(20, 21)...), 1}, {night(0, 0), 0}} {
		got, err := s.Import(t.Context(), tt.made, noon())
		if want := (activity.ImportCounts{Stored: tt.want, Repeated: int64(len(tt.made)) - tt.want}); err != nil || got != want {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
	}
}

func importsAtOnce(t *testing.T, s activity.Store) {
	var stored atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		made := night(0, 50)
		if i%2 == 1 {
			slices.Reverse(made)
		}
		wg.Go(func() {
			counts, err := s.Import(t.Context(), made, noon())
			if err != nil {
				t.Error(err)
			}
			stored.Add(counts.Stored)
		})
	}
	wg.Wait()
	if kept := len(listed(t, s, every(activity.Filter{}))); stored.Load() != 50 || kept != 50 {
		t.Errorf("stored %d and kept %d of 50", stored.Load(), kept)
	}
}
