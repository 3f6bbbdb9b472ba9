package storetest

import (
	"slices"
	"testing"

	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/entity/entitytest"
	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/services/job"
)

func visibilityFollowsTheRule(t *testing.T, s Store) {
	fixtures := entitytest.New()
	owners := []string{fixtures.Account, fixtures.OtherAccount, fixtures.APIKey}
	made := createMany(t, s, len(owners), func(i int, j *job.Job) { j.CreatedBy = owners[i] })
	for name, who := range fixtures.Callers {
		owner, some := entity.Job.Visibility(who).OwnerOnly()
		if !some {
			t.Errorf("%s is narrowed to nothing, which the service does not expect", name)
		}
		var want []string
		for _, j := range made {
			if entity.Job.Sees(who, j.Facts()) {
				want = append(want, j.ID)
			}
		}
		got, err := s.Get(t.Context(), jobIDs(made), owner)
		if err != nil || !slices.Equal(sortedIDs(jobIDs(got)), sortedIDs(want)) {
			t.Errorf("%s gets %v, %v; want %v", name, jobIDs(got), err, want)
		}
		found, err := s.List(t.Context(), job.Filter{CreatedBy: owner}, page.Request{})
		if err != nil || !slices.Equal(sortedIDs(jobIDs(found.Items)), sortedIDs(want)) {
			t.Errorf("%s lists %v, %v; want %v", name, jobIDs(found.Items), err, want)
		}
		counts, err := s.Count(t.Context(), owner)
		if err != nil || counts.Total() != int64(len(want)) {
			t.Errorf("%s counts %d, %v; want %d", name, counts.Total(), err, len(want))
		}
	}
}

func sortedIDs(all []string) []string { return slices.Sorted(slices.Values(all)) }
