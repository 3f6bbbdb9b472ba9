package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/services/trip"
)

func startedAt(minutes int) trip.Trip {
	made := started()
	made.Start.At = noon().Add(time.Duration(minutes) * time.Minute)
	return made
}

func listsAll(t *testing.T, s trip.Store) {
	var want []string
	for _, minutes := range []int{3, 1, 2, 2, 2, 7, 5} { // three at one time: the id decides the order
		want = append(want, create(t, s, startedAt(minutes)).ID)
	}
	all, err := s.List(t.Context(), trip.Filter{}, page.Request{WithTotal: true})
	if err != nil || all.HasNext || all.Total == nil || *all.Total != int64(len(want)) {
		t.Fatalf("all: %+v, %v", all, err)
	}
	sorted := slices.IsSortedFunc(all.Items, func(a, b trip.Trip) int {
		return -cmpStart(a, b)
	})
	if !sorted {
		t.Errorf("not the newest first: %v", idsOf(all.Items))
	}
	var got []string
	request := page.Request{First: 2}
	for {
		p, err := s.List(t.Context(), trip.Filter{}, request)
		if err != nil || p.Total != nil {
			t.Fatalf("page: %+v, %v", p, err)
		}
		got = append(got, idsOf(p.Items)...)
		if !p.HasNext {
			break
		}
		request.After = p.Cursors[len(p.Cursors)-1]
		create(t, s, startedAt(60)) // a newer trip does not move the page
	}
	if !slices.Equal(got, idsOf(all.Items)) {
		t.Errorf("pages give %v, all at once %v", got, idsOf(all.Items))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func cmpStart(a, b trip.Trip) int {
	if c := a.Start.At.Compare(b.Start.At); c != 0 {
		return c
	}
	return slices.Compare([]string{a.ID}, []string{b.ID})
}

func listsFiltered(t *testing.T, s trip.Store) {
	a, b := create(t, s, startedAt(1)), create(t, s, startedAt(2))
	over := startedAt(3)
	over.Status, over.AccountID = trip.Finished, a.AccountID
	c := create(t, s, over)
	second, third := noon().Add(2*time.Minute), noon().Add(3*time.Minute)
	for name, tt := range map[string]struct {
		filter trip.Filter
		want   []string
	}{
		"none":             {trip.Filter{}, []string{c.ID, b.ID, a.ID}},
		"account":          {trip.Filter{AccountIDs: []string{a.AccountID}}, []string{c.ID, a.ID}},
		"vehicles":         {trip.Filter{VehicleIDs: []string{a.VehicleID, b.VehicleID}}, []string{b.ID, a.ID}},
		"open":             {trip.Filter{Statuses: []trip.Status{trip.InProgress, trip.Unlocking}}, []string{b.ID, a.ID}},
		"account and open": {trip.Filter{AccountIDs: []string{a.AccountID}, Statuses: []trip.Status{trip.InProgress}}, []string{a.ID}},
		"from inclusive":   {trip.Filter{StartedFrom: &second}, []string{c.ID, b.ID}},
		"before exclusive": {trip.Filter{StartedBefore: &third}, []string{b.ID, a.ID}},
		"nobody":           {trip.Filter{AccountIDs: []string{ids.New(ids.Account)}}, nil},
	} {
		got, err := s.List(t.Context(), tt.filter, page.Request{WithTotal: true})
		if err != nil || !slices.Equal(idsOf(got.Items), tt.want) || *got.Total != int64(len(tt.want)) {
			t.Errorf("%s: %v of %v, %v; want %v", name, idsOf(got.Items), got.Total, err, tt.want)
		}
	}
}

func listRefuses(t *testing.T, s trip.Store) {
	for _, request := range []page.Request{
		{First: -1},
		{First: page.Max + 1},
		{After: "x"},
		{After: page.AtTime("another/order", noon(), ids.New(ids.Trip)).String()},
		{After: page.AtTime("trips/newest", noon(), "\xff").String()},
		{After: page.Cursor{Order: "trips/newest", Key: "soon", ID: ids.New(ids.Trip)}.String()},
	} {
		if _, err := s.List(t.Context(), trip.Filter{}, request); errs.From(err).Code != errs.InvalidArgument {
			t.Errorf("%+v: %v", request, err)
		}
	}
}
