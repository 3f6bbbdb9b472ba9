package rpc_test

import (
	"math"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	activityv1 "github.com/sluicehq/sluice/services/gen/activity/v1"
	typesv1 "github.com/sluicehq/sluice/services/gen/types/v1"
)

func full() *activityv1.Activity {
	return &activityv1.Activity{
		Kind: activityv1.Kind_KIND_OBSERVATION, Source: "sls", ExternalId: "7", Title: "Horsehead", Content: "two\nlines",
		StartedAt: timestamppb.New(noon()), EndedAt: timestamppb.New(noon()), Actor: "a", Organisation: "o", Subject: "s",
		Amount: proto.Float64(1.5), Unit: "mag",
		Position: &typesv1.Position{
			Latitude: 1, Longitude: 2, At: timestamppb.New(noon()), Accuracy: proto.Float64(3), Place: "here",
		},
		Sky: &activityv1.SkyCoordinates{RightAscension: 85, Declination: -2.5, Epoch: "J2000"},
		Observation: &activityv1.Observation{
			Site: "1", Telescope: "2", Instrument: "3", Programme: "4", Observer: "5", Target: "6", Status: "7",
		},
		DeviceId: ids.New(ids.Device), TripId: ids.New(ids.Trip), JobId: ids.New(ids.Job),
		Links: []*activityv1.Link{{Url: "https://example.org", Title: "image"}}, DataJson: `{"a":1}`,
	}
}

func TestRecordReadBackAndEventAreUnchanged(t *testing.T) {
	t.Parallel()
	h := open(t)
	member, account := as(t, caller.Member)
	want := full()
	want.Id, want.CreatedAt = ids.New(ids.Activity), timestamppb.New(noon().AddDate(1, 0, 0)) // not read
	kept := record(member, t, h, want)
	if kept.GetId() == want.GetId() || ids.Check(ids.Activity, kept.GetId()) != nil {
		t.Errorf("the id is %s", kept.GetId())
	}
	want.Id, want.CreatedAt, want.AccountId, want.Version, want.UpdatedAt = kept.GetId(), timestamppb.New(noon()), account, 1, timestamppb.New(noon())
	if !proto.Equal(kept, want) {
		t.Errorf("got  %v\nwant %v", kept, want)
	}
	batch, err := h.BatchGetActivities(member, &activityv1.BatchGetActivitiesRequest{Ids: []string{kept.GetId(), "x", kept.GetId()}})
	if err != nil || len(batch.GetActivities()) != 1 || !proto.Equal(batch.GetActivities()[0], want) {
		t.Errorf("by id: %v, %v", batch, err)
	}
	list, err := h.ListActivities(member, &activityv1.ListActivitiesRequest{
		Filter: &activityv1.ActivityFilter{
			Kinds: []activityv1.Kind{activityv1.Kind_KIND_OBSERVATION}, Status: "7", DeviceId: want.GetDeviceId(),
			Cone: &activityv1.Cone{RightAscension: 85, Declination: -2, Radius: 0.5},
		},
		Page: &typesv1.PageRequest{First: 1, WithTotal: true},
	})
	if err != nil || len(list.GetActivities()) != 1 || !proto.Equal(list.GetActivities()[0], want) || list.GetPage().GetTotal() != 1 {
		t.Errorf("listed: %v, %v", list, err)
	}
	events, err := h.db.PendingEvents(t.Context(), 10)
	if err != nil || len(events) != 1 || events[0].Subject != "event.activity.added."+kept.GetId() {
		t.Fatalf("%d events, %v", len(events), err)
	}
	var payload activityv1.Activity
	if err := proto.Unmarshal(events[0].Data, &payload); err != nil || !proto.Equal(&payload, want) {
		t.Errorf("payload %v, %v", &payload, err)
	}
}

func TestRecordForAnotherAccountNeedsStaff(t *testing.T) {
	t.Parallel()
	h := open(t)
	member, account := as(t, caller.Member)
	operator, _ := as(t, caller.Operator)
	foreign := ids.New(ids.Account)
	reader := caller.NewContext(t.Context(), caller.Caller{AccountID: account, Role: caller.Member, Scopes: []string{caller.ActivityRead}})
	homeless := caller.NewContext(t.Context(), caller.Caller{Role: caller.Member, Scopes: caller.ScopesOf(caller.Member)})
	ofForeign := func() *activityv1.RecordActivityRequest {
		a := note()
		a.AccountId = foreign
		return &activityv1.RecordActivityRequest{Activity: a}
	}
	_, err := h.RecordActivity(t.Context(), ofForeign())
	wantRefusal(t, "nobody", err, errs.Unauthenticated, "SIGN_IN_REQUIRED")
	_, err = h.RecordActivity(reader, ofForeign())
	wantRefusal(t, "who may only read", err, errs.PermissionDenied, "SCOPE_MISSING")
	_, err = h.RecordActivity(member, ofForeign())
	wantRefusal(t, "a member for another", err, errs.PermissionDenied, errs.ReasonNotAllowed)
	_, err = h.RecordActivity(homeless, &activityv1.RecordActivityRequest{Activity: note()})
	wantRefusal(t, "without an account", err, errs.PermissionDenied, errs.ReasonNotAllowed)

	if got := record(member, t, h, note()).GetAccountId(); got != account {
		t.Errorf("a member's is of %q", got)
	}
	if got := record(operator, t, h, note()).GetAccountId(); got != "" {
		t.Errorf("an operator's for everybody is of %q", got)
	}
	if got := record(operator, t, h, ofForeign().GetActivity()).GetAccountId(); got != foreign {
		t.Errorf("an operator's for an account is of %q", got)
	}
}

func TestNameOfAnotherAccountIsIndependent(t *testing.T) {
	t.Parallel()
	h := open(t)
	alice, _ := as(t, caller.Member)
	bob, _ := as(t, caller.Member)
	operator, _ := as(t, caller.Operator)
	secret := note()
	secret.ExternalId, secret.Title = "1", "Alice's secret"
	first := record(alice, t, h, secret)
	guess := note()
	guess.ExternalId = "1"
	if got := record(bob, t, h, guess); got.GetId() == first.GetId() || got.GetTitle() != "A note" {
		t.Errorf("bob gets %v", got)
	}
	if got := record(operator, t, h, guess); got.GetId() == first.GetId() || got.GetAccountId() != "" {
		t.Errorf("everybody's is %v", got)
	}
	if got := record(alice, t, h, guess); !proto.Equal(got, first) {
		t.Errorf("alice gets %v", got)
	}
}

func TestReplayedIdempotencyKeyReturnsFirstResult(t *testing.T) {
	t.Parallel()
	h := open(t)
	alice, _ := as(t, caller.Member)
	bob, _ := as(t, caller.Member)
	request := &activityv1.RecordActivityRequest{Activity: water(200), IdempotencyKey: "k"}
	first, err := h.RecordActivity(alice, request)
	if err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(time.Second)
	request.Activity.Id, request.Activity.CreatedAt = ids.New(ids.Activity), timestamppb.New(noon()) // not read
	if again, err := h.RecordActivity(alice, request); err != nil || !proto.Equal(again, first) {
		t.Errorf("again: %v, %v", again, err)
	}
	_, err = h.RecordActivity(alice, &activityv1.RecordActivityRequest{Activity: water(201), IdempotencyKey: "k"})
	wantRefusal(t, "another input", err, errs.Aborted, errs.ReasonKeyReused)
	if others, err := h.RecordActivity(bob, request); err != nil || others.GetId() == first.GetId() {
		t.Errorf("bob: %v, %v", others, err)
	}
}

func TestConcurrentRecordsWithOneNameStoreOneActivity(t *testing.T) {
	t.Parallel()
	h := open(t)
	member, _ := as(t, caller.Member)
	const n = 32
	got := make([]string, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			a := note()
			a.ExternalId = "same"
			kept, err := h.RecordActivity(member, &activityv1.RecordActivityRequest{Activity: a})
			if err != nil {
				t.Error(err)
			}
			got[i] = kept.GetId()
		})
	}
	wg.Wait()
	for _, id := range got {
		if id != got[0] {
			t.Errorf("%s and %s", id, got[0])
		}
	}
	if events, err := h.db.PendingEvents(t.Context(), n); err != nil || len(events) != 1 {
		t.Errorf("%d events, %v", len(events), err)
	}
}

func TestInvalidMessageIsRefused(t *testing.T) {
	t.Parallel()
	h := open(t)
	member, _ := as(t, caller.Member)
	for name, a := range map[string]*activityv1.Activity{
		"none":           nil,
		"no kind":        {Title: "x"},
		"unknown kind":   {Title: "x", Kind: 99},
		"no time":        {Title: "x", Kind: activityv1.Kind_KIND_NOTE, StartedAt: &timestamppb.Timestamp{Nanos: -1}},
		"the first time": {Title: "x", Kind: activityv1.Kind_KIND_NOTE, StartedAt: &timestamppb.Timestamp{Seconds: -62135596800}},
		"an end before":  {Title: "x", Kind: activityv1.Kind_KIND_NOTE, EndedAt: &timestamppb.Timestamp{}},
		"NaN":            {Title: "x", Kind: activityv1.Kind_KIND_NOTE, Amount: proto.Float64(math.NaN())},
	} {
		_, err := h.RecordActivity(member, &activityv1.RecordActivityRequest{Activity: a, IdempotencyKey: "k"})
		wantRefusal(t, name, err, errs.InvalidArgument, errs.ReasonInvalidField)
	}
	for name, f := range map[string]*activityv1.ActivityFilter{
		"kind": {Kinds: []activityv1.Kind{0}},
		"time": {StartedFrom: &timestamppb.Timestamp{Nanos: -1}},
		"cone": {Cone: &activityv1.Cone{}},
	} {
		_, err := h.ListActivities(member, &activityv1.ListActivitiesRequest{Filter: f})
		wantRefusal(t, name, err, errs.InvalidArgument, errs.ReasonInvalidField)
		_, err = h.SumAmounts(member, &activityv1.SumAmountsRequest{Filter: f})
		wantRefusal(t, name, err, errs.InvalidArgument, errs.ReasonInvalidField)
	}
	_, err := h.BatchGetActivities(member, &activityv1.BatchGetActivitiesRequest{Ids: make([]string, 1_001)})
	wantRefusal(t, "too many ids", err, errs.InvalidArgument, errs.ReasonInvalidField)
}
