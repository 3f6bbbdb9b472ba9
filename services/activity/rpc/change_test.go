package rpc_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	activityv1 "github.com/sluicehq/sluice/services/gen/activity/v1"
)

func update(ctx context.Context, h environment, id string, to *activityv1.Activity, fields ...string) (*activityv1.Activity, error) {
	return h.UpdateActivity(ctx, &activityv1.UpdateActivityRequest{Id: id, Activity: to, Fields: fields})
}

func TestUpdateReplacesTheNamedFields(t *testing.T) {
	t.Parallel()
	h := open(t)
	member, _ := as(t, caller.Member)
	first := record(member, t, h, full())
	h.clock.Advance(time.Hour)
	to := &activityv1.Activity{Title: "Corrected", Content: "not named", Amount: proto.Float64(2.5)}
	got, err := update(member, h, first.GetId(), to, "title", "amount", "endedAt", "sky", "links", "data")
	if err != nil {
		t.Fatal(err)
	}
	want := proto.CloneOf(first)
	want.Title, want.Amount, want.EndedAt, want.Sky, want.Links, want.DataJson = "Corrected", proto.Float64(2.5), nil, nil, nil, ""
	want.Version, want.UpdatedAt = 2, timestamppb.New(noon().Add(time.Hour))
	if !proto.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	same, err := update(member, h, first.GetId(), &activityv1.Activity{Title: "Corrected"}, "title")
	if err != nil || !proto.Equal(same, want) {
		t.Errorf("an update without a change gives %v, %v", same, err)
	}
	events, err := h.db.PendingEvents(t.Context(), 10)
	if err != nil || len(events) != 2 || events[1].Subject != "event.activity.changed."+first.GetId() {
		t.Errorf("%d events, %v", len(events), err)
	}
	history, err := h.ListRevisions(member, &activityv1.ListRevisionsRequest{Id: first.GetId()})
	if err != nil || len(history.GetRevisions()) != 1 || !proto.Equal(history.GetRevisions()[0].GetActivity(), first) {
		t.Errorf("the history is %v, %v", history, err)
	}
}

func TestCorrectedWaterCountsAtOnce(t *testing.T) {
	t.Parallel()
	h := open(t)
	member, _ := as(t, caller.Member)
	wrong := water(900)
	wrong.Title = "Water, 900 ml"
	first, other := record(member, t, h, wrong), record(member, t, h, water(50))
	total := func() int64 {
		t.Helper()
		report, err := h.ReportHydration(member, asked(noon().AddDate(0, 0, -1), noon().AddDate(0, 0, 1), "", ""))
		if err != nil {
			t.Fatal(err)
		}
		return report.GetTotalMl()
	}
	corrected, err := update(member, h, first.GetId(), water(300), "amount")
	if err != nil || corrected.GetTitle() != "Water, 300 ml" || total() != 350 {
		t.Errorf("%q, a total of %d, %v", corrected.GetTitle(), total(), err)
	}
	gone, err := h.WithdrawActivity(member, &activityv1.WithdrawActivityRequest{Id: other.GetId()})
	if err != nil || gone.GetWithdrawnAt() == nil || total() != 300 {
		t.Errorf("withdrawn at %v, a total of %d, %v", gone.GetWithdrawnAt(), total(), err)
	}
	events, err := h.db.PendingEvents(t.Context(), 10)
	if err != nil || len(events) != 4 || events[3].Subject != "event.activity.withdrawn."+other.GetId() {
		t.Errorf("%d events, %v", len(events), err)
	}
	if _, err := update(member, h, other.GetId(), water(1), "amount"); errs.From(err).Code != errs.NotFound {
		t.Errorf("an update of a withdrawn activity: %v", err)
	}
}

func TestUpdateRefuses(t *testing.T) {
	t.Parallel()
	h := open(t)
	member, _ := as(t, caller.Member)
	a := record(member, t, h, water(100))
	for name, c := range map[string]struct {
		to     *activityv1.Activity
		field  string
		reason string
	}{
		"amount":       {water(0), "amount", "amount: "},
		"no amount":    {&activityv1.Activity{}, "amount", "amount: "},
		"unit":         {&activityv1.Activity{Unit: "l"}, "unit", "unit: "},
		"title":        {&activityv1.Activity{}, "title", "title: "},
		"no start":     {&activityv1.Activity{}, "startedAt", "startedAt: "},
		"future":       {&activityv1.Activity{StartedAt: timestamppb.New(time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC))}, "startedAt", "startedAt: "},
		"clock at 0":   {&activityv1.Activity{StartedAt: timestamppb.New(time.Unix(1, 0))}, "startedAt", "startedAt: "},
		"end":          {&activityv1.Activity{EndedAt: timestamppb.New(noon().Add(-time.Hour))}, "endedAt", "endedAt: "},
		"external id":  {&activityv1.Activity{ExternalId: "x"}, "externalId", "fields: "},
		"account":      {&activityv1.Activity{AccountId: ids.New(ids.Account)}, "accountId", "fields: "},
		"unknown kind": {&activityv1.Activity{Kind: 99}, "kind", "kind: "},
	} {
		_, err := update(member, h, a.GetId(), c.to, c.field)
		if e := errs.From(err); e.Code != errs.InvalidArgument || !strings.HasPrefix(e.Message, c.reason) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := h.UpdateActivity(member, &activityv1.UpdateActivityRequest{Id: a.GetId(), ExpectedVersion: proto.Int64(2), Activity: water(5), Fields: []string{"amount"}})
	wantRefusal(t, "another version", err, errs.Aborted, errs.ReasonVersionConflict)
	_, err = h.WithdrawActivity(member, &activityv1.WithdrawActivityRequest{Id: a.GetId(), ExpectedVersion: proto.Int64(2)})
	wantRefusal(t, "another version", err, errs.Aborted, errs.ReasonVersionConflict)
	if list, err := h.BatchGetActivities(member, &activityv1.BatchGetActivitiesRequest{Ids: []string{a.GetId()}}); err != nil || !proto.Equal(list.GetActivities()[0], a) {
		t.Errorf("it is %v, %v", list, err)
	}
}

func TestOnlyOwnersAndStaffChangeActivities(t *testing.T) {
	t.Parallel()
	h := open(t)
	owner, _ := as(t, caller.Member)
	other, _ := as(t, caller.Member)
	operator, _ := as(t, caller.Operator)
	mine, public := record(owner, t, h, note()), record(operator, t, h, note())
	retitle := &activityv1.Activity{Title: "Mine"}

	_, err := update(other, h, mine.GetId(), retitle, "title")
	wantRefusal(t, "another's", err, errs.NotFound, errs.ReasonNotFound)
	_, err = h.WithdrawActivity(other, &activityv1.WithdrawActivityRequest{Id: mine.GetId()})
	wantRefusal(t, "another's", err, errs.NotFound, errs.ReasonNotFound)
	_, err = update(other, h, public.GetId(), retitle, "title")
	wantRefusal(t, "a public one", err, errs.PermissionDenied, errs.ReasonNotAllowed)
	readOnly := caller.NewContext(t.Context(), caller.Caller{AccountID: mine.GetAccountId(), Role: caller.Member, Scopes: []string{caller.ActivityRead}})
	_, err = update(readOnly, h, mine.GetId(), retitle, "title")
	wantRefusal(t, "without the scope", err, errs.PermissionDenied, "SCOPE_MISSING")

	for _, id := range []string{mine.GetId(), public.GetId()} {
		if _, err := update(operator, h, id, retitle, "title"); err != nil {
			t.Errorf("staff: %v", err)
		}
	}
	for name, c := range map[string]struct {
		who  context.Context
		id   string
		want int
	}{
		"owner": {owner, mine.GetId(), 1}, "another": {other, mine.GetId(), 0}, "staff": {operator, mine.GetId(), 1},
		"another, public": {other, public.GetId(), 0}, "staff, public": {operator, public.GetId(), 1},
	} {
		history, err := h.ListRevisions(c.who, &activityv1.ListRevisionsRequest{Id: c.id})
		if err != nil || len(history.GetRevisions()) != c.want {
			t.Errorf("%s: %d earlier versions, %v", name, len(history.GetRevisions()), err)
		}
	}
}

func TestImportTakesCorrectionsOver(t *testing.T) {
	t.Parallel()
	h := open(t)
	all := observed(3)
	for _, step := range []struct {
		what                      string
		change                    func()
		stored, updated, repeated int64
	}{
		{"first", func() {}, 3, 0, 0},
		{"again", func() {}, 0, 0, 3},
		{"done", func() { all[0].Observation.Status = "DONE AGAIN" }, 0, 1, 2},
		{"moved", func() { all[1].StartedAt = timestamppb.New(noon().Add(time.Hour)) }, 0, 1, 2},
		{"as it is now", func() {}, 0, 0, 3},
	} {
		step.change()
		done, err := h.ImportActivities(system(t), &activityv1.ImportActivitiesRequest{Activities: all})
		if err != nil || done.GetStored() != step.stored || done.GetUpdated() != step.updated || done.GetRepeatedActivities() != step.repeated {
			t.Errorf("%s: %v, %v", step.what, done, err)
		}
	}
	if list, err := h.ListActivities(system(t), &activityv1.ListActivitiesRequest{}); err != nil || len(list.GetActivities()) != 3 {
		t.Errorf("%d are stored, %v", len(list.GetActivities()), err)
	}
}

func TestTimesThatCannotBeAreRefused(t *testing.T) {
	t.Parallel()
	h := open(t)
	member, _ := as(t, caller.Member)
	future, unset := timestamppb.New(time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)), timestamppb.New(time.Date(1970, 1, 1, 0, 1, 0, 0, time.UTC))
	for name, a := range map[string]*activityv1.Activity{
		"water in 2099": {Kind: activityv1.Kind_KIND_HYDRATION, Title: "W", Amount: proto.Float64(1), Unit: "ml", StartedAt: future},
		"water in 1970": {Kind: activityv1.Kind_KIND_HYDRATION, Title: "W", Amount: proto.Float64(1), Unit: "ml", StartedAt: unset},
		"note in 2099":  {Kind: activityv1.Kind_KIND_NOTE, Title: "N", StartedAt: future},
		"trip in 2099":  {Kind: activityv1.Kind_KIND_TRIP, Title: "T", StartedAt: future},
	} {
		_, err := h.RecordActivity(member, &activityv1.RecordActivityRequest{Activity: a})
		wantRefusal(t, name, err, errs.InvalidArgument, errs.ReasonInvalidField)
	}
	for name, a := range map[string]*activityv1.Activity{
		"a planned observation": {Kind: activityv1.Kind_KIND_OBSERVATION, Title: "O", StartedAt: future},
		"a planned job":         {Kind: activityv1.Kind_KIND_JOB, Title: "J", StartedAt: future},
		"an old note":           {Kind: activityv1.Kind_KIND_NOTE, Title: "N", StartedAt: unset},
		"a note of tomorrow":    {Kind: activityv1.Kind_KIND_NOTE, Title: "N", StartedAt: timestamppb.New(noon().Add(24 * time.Hour))},
	} {
		if _, err := h.RecordActivity(member, &activityv1.RecordActivityRequest{Activity: a}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
