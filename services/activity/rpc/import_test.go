package rpc_test

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	activityv1 "github.com/sluicehq/sluice/services/gen/activity/v1"
	typesv1 "github.com/sluicehq/sluice/services/gen/types/v1"
)

// observed is n observations of a night, of which every 30th failed.
func observed(n int) []*activityv1.Activity {
	all := make([]*activityv1.Activity, n)
	for i := range all {
		status := "DONE"
		if i%30 == 29 {
			status = "FAILED"
		}
		all[i] = &activityv1.Activity{
			Kind: activityv1.Kind_KIND_OBSERVATION, Source: "sls", ExternalId: fmt.Sprint("request ", i), Title: "Horsehead",
			StartedAt:   timestamppb.New(noon().AddDate(0, 0, -i)),
			Sky:         &activityv1.SkyCoordinates{RightAscension: 85.2, Declination: -2.5},
			Observation: &activityv1.Observation{Target: "Barnard 33", Status: status},
		}
	}
	return all
}

func TestImportOfANightIsStoredOnce(t *testing.T) {
	t.Parallel()
	h := open(t)
	for round, want := range []struct{ stored, repeated int64 }{{301, 0}, {0, 301}} {
		done, err := h.ImportActivities(system(t), &activityv1.ImportActivitiesRequest{Activities: observed(301)})
		if err != nil || done.GetStored() != want.stored || done.GetRepeatedActivities() != want.repeated || len(done.GetFaults()) != 0 {
			t.Errorf("round %d: %v, %v", round, done, err)
		}
	}
	if events, err := h.db.PendingEvents(t.Context(), 1_000); err != nil || len(events) != 301 {
		t.Errorf("%d events, %v", len(events), err)
	}
	member, _ := as(t, caller.Member)
	for status, want := range map[string]int64{"": 301, "done": 291, "failed": 10} {
		list, err := h.ListActivities(member, &activityv1.ListActivitiesRequest{
			Filter: &activityv1.ActivityFilter{Status: status}, Page: &typesv1.PageRequest{First: 1, WithTotal: true},
		})
		if err != nil || list.GetPage().GetTotal() != want || !list.GetPage().GetHasNext() {
			t.Errorf("%q: %v, %v", status, list.GetPage(), err)
		}
	}
}

func TestImportReportsInvalidActivities(t *testing.T) {
	t.Parallel()
	h := open(t)
	admin, _ := as(t, caller.Admin)
	all := observed(5)
	all[1].Sky.RightAscension = 361
	all[3].StartedAt = &timestamppb.Timestamp{Nanos: -1}
	all[4].ExternalId = all[0].GetExternalId()
	all = append(all, nil)
	done, err := h.ImportActivities(admin, &activityv1.ImportActivitiesRequest{Activities: all})
	if err != nil || done.GetStored() != 2 || done.GetUpdated() != 1 || len(done.GetFaults()) != 3 {
		t.Fatalf("%v, %v", done, err)
	}
	for i, want := range []struct {
		index  int32
		reason string
	}{{1, "sky.rightAscension: "}, {3, "startedAt: "}, {5, "kind: "}} {
		if got := done.GetFaults()[i]; got.GetIndex() != want.index || !strings.HasPrefix(got.GetReason(), want.reason) {
			t.Errorf("fault %d: %v", i, got)
		}
	}
}

func TestImportByMemberIsRefused(t *testing.T) {
	t.Parallel()
	h := open(t)
	member, _ := as(t, caller.Member)
	operator, _ := as(t, caller.Operator)
	request := &activityv1.ImportActivitiesRequest{Activities: observed(1)}
	_, err := h.ImportActivities(t.Context(), request)
	wantRefusal(t, "nobody", err, errs.Unauthenticated, "SIGN_IN_REQUIRED")
	_, err = h.ImportActivities(member, request)
	wantRefusal(t, "a member", err, errs.PermissionDenied, errs.ReasonNotAllowed)
	_, err = h.ImportActivities(operator, request)
	wantRefusal(t, "an operator", err, errs.PermissionDenied, errs.ReasonNotAllowed)
	_, err = h.ImportActivities(system(t), &activityv1.ImportActivitiesRequest{Activities: observed(1_001)})
	wantRefusal(t, "too many", err, errs.InvalidArgument, errs.ReasonInvalidField)
	if done, err := h.ImportActivities(system(t), &activityv1.ImportActivitiesRequest{}); err != nil || done.GetStored() != 0 {
		t.Errorf("none: %v, %v", done, err)
	}
}
