package storetest

import (
	"slices"
	"testing"

	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/entity/entitytest"
	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/services/trip"
)

func visibilityFollowsTheRule(t *testing.T, s trip.Store) {
	fixtures := entitytest.New()
	var made []trip.Trip
	for _, owner := range []string{fixtures.Account, fixtures.OtherAccount} {
		one := recorded("of " + owner)
		one.AccountID = owner
		made = append(made, create(t, s, one))
	}
	for name, who := range fixtures.Callers {
		owner, some := entity.Trip.Visibility(who).OwnerOnly()
		var want []string
		for _, one := range made {
			if entity.Trip.Sees(who, one.Facts()) {
				want = append(want, one.ID)
			}
		}
		if !some {
			if len(want) > 0 {
				t.Errorf("%s sees %v and is narrowed to nothing", name, want)
			}
			continue
		}
		var filter trip.Filter
		if owner != "" {
			filter.AccountIDs = []string{owner}
		}
		found, err := s.List(t.Context(), filter, page.Request{})
		if err != nil || !slices.Equal(sortedIDs(idsOf(found.Items)), sortedIDs(want)) {
			t.Errorf("%s lists %v, %v; want %v", name, idsOf(found.Items), err, want)
		}
		tracks, err := s.Tracks(t.Context(), idsOf(made), owner, 10)
		if err != nil || len(tracks) != len(want) {
			t.Errorf("%s reads %d tracks, %v; want %d", name, len(tracks), err, len(want))
		}
	}
}

func sortedIDs(all []string) []string { return slices.Sorted(slices.Values(all)) }
