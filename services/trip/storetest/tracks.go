package storetest

import (
	"slices"
	"testing"

	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/services/trip"
)

func tracksByTime(t *testing.T, s trip.Store) {
	a, b := create(t, s, started()), create(t, s, started())
	for _, seconds := range []int{30, 10, 20} {
		if _, err := s.Change(t.Context(), a.ID, "", []trip.Position{at(seconds)}, observing); err != nil {
			t.Fatal(err)
		}
	}
	var ordinals []int64
	var rejections []trip.Rejection
	for _, fix := range track(t, s, a.ID) {
		ordinals = append(ordinals, fix.Ordinal)
		rejections = append(rejections, fix.Rejection)
	}
	if !slices.Equal(ordinals, []int64{1, 3, 4, 2}) || !slices.Equal(rejections, []trip.Rejection{"", trip.OutOfOrder, trip.OutOfOrder, ""}) {
		t.Errorf("by time the fixes are %v, %v", ordinals, rejections)
	}
	both := []string{a.ID, b.ID, ids.New(ids.Trip)}
	if tracks, err := s.Tracks(t.Context(), both, "", 10); err != nil || len(tracks) != 2 {
		t.Errorf("anybody's: %d tracks, %v", len(tracks), err)
	}
	if tracks, err := s.Tracks(t.Context(), both, b.AccountID, 10); err != nil || len(tracks) != 1 || tracks[0].TripID != b.ID {
		t.Errorf("one account's: %+v, %v", tracks, err)
	}
}

func tracksThinned(t *testing.T, s trip.Store) {
	const n = 103
	made := create(t, s, started())
	positions := make([]trip.Position, n)
	for i := range positions {
		positions[i] = at(i) // the first is the start, which is stored already
	}
	if _, err := s.Change(t.Context(), made.ID, "", positions, observing); err != nil {
		t.Fatal(err)
	}
	for _, most := range []int{1, 2, 3, 7, 50, 101, 102, 103, 104, 10_000} {
		tracks, err := s.Tracks(t.Context(), []string{made.ID}, "", most)
		if err != nil || len(tracks) != 1 || len(tracks[0].Fixes) != min(n, most) {
			t.Errorf("at most %d: %d tracks, %v", most, len(tracks), err)
			continue
		}
		checkSpread(t, tracks[0].Fixes, n, most)
	}
}

func checkSpread(t *testing.T, fixes []trip.Fix, n int64, most int) {
	t.Helper()
	if last := fixes[len(fixes)-1].Ordinal; last != n || (most > 1 && fixes[0].Ordinal != 1) {
		t.Errorf("at most %d: from %d to %d", most, fixes[0].Ordinal, last)
	}
	least, greatest := n, int64(0)
	for i := 1; i < len(fixes); i++ {
		step := fixes[i].Ordinal - fixes[i-1].Ordinal
		least, greatest = min(least, step), max(greatest, step)
	}
	if len(fixes) > 1 && (least < 1 || greatest-least > 1) {
		t.Errorf("at most %d: steps from %d to %d", most, least, greatest)
	}
}
