package storetest

import (
	"cmp"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/entity/entitytest"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/services/activity"
)

func listsAll(t *testing.T, s activity.Store) {
	mine := ids.New(ids.Account)
	var made []activity.Activity
	for i, minutes := range []int{3, 1, 2, 2, 2, -7, 5} { // three with one start: the id decides
		made = append(made, create(t, s, with(note(minutes), func(a *activity.Activity) {
			a.AccountID = []string{"", mine}[i%2]
		})))
	}
	slices.SortFunc(made, func(a, b activity.Activity) int {
		return cmp.Or(b.StartedAt.Compare(a.StartedAt), cmp.Compare(b.ID, a.ID))
	})
	want := idsOf(made)
	own := activity.Selection{Visible: entity.Visibility{Owner: mine, Public: true}}
	for _, selection := range []activity.Selection{every(activity.Filter{}), own} {
		if got := listed(t, s, selection); !slices.Equal(got, want) {
			t.Errorf("seen by %+v: %v, want %v", selection.Visible, got, want)
		}
	}
	for i, selection := range []activity.Selection{every(activity.Filter{}), own} {
		if got := paged(t, s, selection, 20-10*i); !slices.Equal(got, want) {
			t.Errorf("seen by %+v, by pages: %v, want %v", selection.Visible, got, want)
		}
	}
}

// paged reads pages of the activities that started up to some minutes after noon. Between the pages it inserts newer
// activities, which must not move a page.
func paged(t *testing.T, s activity.Store, selection activity.Selection, minutes int) []string {
	t.Helper()
	before := noon().Add(time.Duration(minutes+1) * time.Minute)
	selection.Filter.StartedBefore = &before
	var got []string
	request := page.Request{First: 2}
	for {
		p, err := s.List(t.Context(), selection, request)
		if err != nil || p.Total != nil || len(p.Items) > 2 {
			t.Fatalf("page: %+v, %v", p, err)
		}
		got = append(got, idsOf(p.Items)...)
		if !p.HasNext {
			return got
		}
		request.After = p.Cursors[len(p.Cursors)-1]
		create(t, s, note(minutes))
	}
}

func listsFiltered(t *testing.T, s activity.Store) {
	device, account := ids.New(ids.Device), ids.New(ids.Account)
	a := create(t, s, with(note(1), func(a *activity.Activity) {
		a.Source, a.Actor, a.DeviceID, a.AccountID = "sls", "Ångström", device, account
	}))
	b := create(t, s, with(note(2), func(a *activity.Activity) {
		a.Kind = activity.Observed
		a.Observation = activity.Observation{
			Telescope: "Gemini", Instrument: "R", Programme: "cas85.SCH", Observer: "Ada", Target: "M 31", Status: "DONE",
		}
	}))
	c := create(t, s, with(note(3), func(a *activity.Activity) { a.Kind = activity.Hydration }))
	second, afterSecond, third := noon().Add(2*time.Minute), noon().Add(2*time.Minute+time.Nanosecond), noon().Add(3*time.Minute)
	for name, tt := range map[string]struct {
		filter activity.Filter
		want   []string
	}{
		"none":                     {activity.Filter{}, []string{c.ID, b.ID, a.ID}},
		"kinds":                    {activity.Filter{Kinds: []activity.Kind{activity.Note, activity.Hydration, activity.Trip}}, []string{c.ID, a.ID}},
		"sources":                  {activity.Filter{Sources: []string{"sls", "other"}}, []string{a.ID}},
		"from inclusive":           {activity.Filter{StartedFrom: &second}, []string{c.ID, b.ID}},
		"from a nanosecond later":  {activity.Filter{StartedFrom: &afterSecond}, []string{c.ID}},
		"before exclusive":         {activity.Filter{StartedBefore: &third}, []string{b.ID, a.ID}},
		"before, nanosecond later": {activity.Filter{StartedBefore: &afterSecond}, []string{b.ID, a.ID}},
		"actor":                    {activity.Filter{Actor: "åNGSTRÖM"}, []string{a.ID}},
		"part of the actor":        {activity.Filter{Actor: "ngstr"}, nil},
		"telescope":                {activity.Filter{Telescope: "GEMINI"}, []string{b.ID}},
		"instrument":               {activity.Filter{Instrument: "r"}, []string{b.ID}},
		"programme":                {activity.Filter{Programme: "cas85.sch"}, []string{b.ID}},
		"no pattern":               {activity.Filter{Programme: "cas85%"}, nil},
		"observer":                 {activity.Filter{Observer: "aDA"}, []string{b.ID}},
		"target":                   {activity.Filter{Target: "m 31"}, []string{b.ID}},
		"status":                   {activity.Filter{Status: "Done"}, []string{b.ID}},
		"device":                   {activity.Filter{DeviceID: device}, []string{a.ID}},
		"account":                  {activity.Filter{AccountID: account}, []string{a.ID}},
		"all must hold":            {activity.Filter{DeviceID: device, Sources: []string{"test"}}, nil},
	} {
		if got := listed(t, s, every(tt.filter)); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

func listsVisible(t *testing.T, s activity.Store) {
	mine, others := ids.New(ids.Account), ids.New(ids.Account)
	public := create(t, s, with(note(1), func(a *activity.Activity) { a.AccountID = "" }))
	own := create(t, s, with(note(2), func(a *activity.Activity) { a.AccountID = mine }))
	foreign := create(t, s, with(note(3), func(a *activity.Activity) { a.AccountID = others }))
	for name, tt := range map[string]struct {
		selection activity.Selection
		want      []string
	}{
		"staff":                    {every(activity.Filter{}), []string{foreign.ID, own.ID, public.ID}},
		"an account":               {activity.Selection{Visible: entity.Visibility{Owner: mine, Public: true}}, []string{own.ID, public.ID}},
		"an account, its own":      {activity.Selection{Visible: entity.Visibility{Owner: mine, Public: true}, Filter: activity.Filter{AccountID: mine}}, []string{own.ID}},
		"an account, another's":    {activity.Selection{Visible: entity.Visibility{Owner: mine, Public: true}, Filter: activity.Filter{AccountID: others}}, nil},
		"nobody known":             {activity.Selection{Visible: entity.Visibility{Public: true}}, []string{public.ID}},
		"nobody known, an account": {activity.Selection{Visible: entity.Visibility{Public: true}, Filter: activity.Filter{AccountID: others}}, nil},
	} {
		if got := listed(t, s, tt.selection); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

func visibilityFollowsTheRule(t *testing.T, s activity.Store) {
	fixtures := entitytest.New()
	var made []activity.Activity
	for i, owner := range []string{"", fixtures.Account, fixtures.OtherAccount} {
		made = append(made, create(t, s, with(note(i), func(a *activity.Activity) { a.AccountID = owner })))
	}
	for name, who := range fixtures.Callers {
		visible := entity.Activity.Visibility(who)
		var want []string
		for _, a := range made {
			if entity.Activity.Sees(who, a.Facts()) {
				want = append(want, a.ID)
			}
		}
		got, err := s.Get(t.Context(), idsOf(made), visible)
		if err != nil || !slices.Equal(sorted(idsOf(got)), sorted(want)) {
			t.Errorf("%s gets %v, %v; want %v", name, idsOf(got), err, want)
		}
		if got := listed(t, s, activity.Selection{Visible: visible}); !slices.Equal(sorted(got), sorted(want)) {
			t.Errorf("%s lists %v, want %v", name, got, want)
		}
	}
	if got := listed(t, s, activity.Selection{}); len(got) != 0 {
		t.Errorf("the zero visibility lists %v", got)
	}
}

func listRefuses(t *testing.T, s activity.Store) {
	for _, request := range []page.Request{
		{First: -1},
		{First: page.Max + 1},
		{After: "x"},
		{After: page.AtTime("another/order", noon(), ids.New(ids.Activity)).String()},
		{After: page.AtTime("activities/newest", noon(), "\xff").String()},
		{After: page.Cursor{Order: "activities/newest", Key: "soon", ID: ids.New(ids.Activity)}.String()},
	} {
		if _, err := s.List(t.Context(), every(activity.Filter{}), request); errs.From(err).Code != errs.InvalidArgument {
			t.Errorf("%+v: %v", request, err)
		}
	}
}

func drunk(minutes int, ml float64, accountID string) activity.Activity {
	return with(note(minutes), func(a *activity.Activity) {
		a.Kind, a.Amount, a.Unit, a.AccountID = activity.Hydration, &ml, "ml", accountID
	})
}

func sums(t *testing.T, s activity.Store) {
	mine, others := ids.New(ids.Account), ids.New(ids.Account)
	create(t, s, note(0)) // has no amount
	create(t, s, drunk(1, 250.5, mine))
	create(t, s, drunk(2, 100, mine))
	create(t, s, drunk(3, 1_000, others))
	second := noon().Add(2 * time.Minute)
	for name, tt := range map[string]struct {
		selection activity.Selection
		sum       float64
		count     int64
	}{
		"all":       {every(activity.Filter{}), 1_350.5, 3},
		"since":     {every(activity.Filter{StartedFrom: &second}), 1_100, 2},
		"seen":      {activity.Selection{Visible: entity.Visibility{Owner: mine, Public: true}}, 350.5, 2},
		"no amount": {every(activity.Filter{Kinds: []activity.Kind{activity.Note}}), 0, 0},
	} {
		if sum, count, err := s.Sum(t.Context(), tt.selection); err != nil || sum != tt.sum || count != tt.count {
			t.Errorf("%s: %v of %d, %v; want %v of %d", name, sum, count, err, tt.sum, tt.count)
		}
	}
}

func visitsAmounts(t *testing.T, s activity.Store) {
	mine := ids.New(ids.Account)
	a, b := create(t, s, drunk(1, 250, mine)), create(t, s, drunk(2, 100, mine))
	create(t, s, note(3))
	create(t, s, drunk(4, 1, ids.New(ids.Account)))
	selection := activity.Selection{Visible: entity.Visibility{Owner: mine, Public: true}}
	want := []activity.Amount{
		{ActivityID: b.ID, Version: 1, StartedAt: b.StartedAt, Value: 100}, {ActivityID: a.ID, Version: 1, StartedAt: a.StartedAt, Value: 250},
	}
	var got []activity.Amount
	err := s.Amounts(t.Context(), selection, func(amount activity.Amount) error {
		got = append(got, amount)
		return nil
	})
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	enough := errors.New("enough")
	visits := 0
	err = s.Amounts(t.Context(), selection, func(activity.Amount) error { visits++; return enough })
	if !errors.Is(err, enough) || visits != 1 {
		t.Errorf("after %d visits: %v", visits, err)
	}
}
