package rpc_test

import (
	"context"
	"fmt"
	"slices"
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

func at(t *testing.T, text string) time.Time {
	t.Helper()
	moment, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return moment
}

func asked(from, to time.Time, zone, accountID string) *activityv1.ReportHydrationRequest {
	return &activityv1.ReportHydrationRequest{
		From: timestamppb.New(from), To: timestamppb.New(to), TimeZone: zone, AccountId: accountID,
	}
}

// drink records water at moments; the first is 1 ml, and each is twice the one before.
func drink(ctx context.Context, t *testing.T, h environment, moments ...string) {
	t.Helper()
	ml := 1.0
	for _, moment := range moments {
		a := water(ml)
		a.StartedAt = timestamppb.New(at(t, moment))
		h.clock.Advance(max(0, at(t, moment).Sub(h.clock.Now()))) // nothing is drunk in the future
		record(ctx, t, h, a)
		ml *= 2
	}
}

func days(report *activityv1.HydrationReport) string {
	var out []string
	for _, day := range report.GetDays() {
		out = append(out, fmt.Sprintf("%s %d", day.GetDate(), day.GetTotalMl()))
	}
	return strings.Join(out, ", ")
}

func TestHydrationDaysFollowTheTimeZone(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, zone string
		moments    []string
		want       string
	}{
		{"UTC", "UTC", []string{"2026-05-01T00:00:00Z", "2026-05-01T23:59:59.999999Z", "2026-05-02T00:00:00Z"}, "2026-05-01 3, 2026-05-02 4"},
		{"none is UTC", "", []string{"2026-05-01T23:00:00Z"}, "2026-05-01 1"},
		{"east", "Asia/Shanghai", []string{"2026-05-01T15:59:59Z", "2026-05-01T16:00:00Z"}, "2026-05-01 1, 2026-05-02 2"},
		{"west", "America/Los_Angeles", []string{"2026-05-01T06:59:59Z", "2026-05-01T07:00:00Z"}, "2026-04-30 1, 2026-05-01 2"},
		{"half an hour", "Asia/Kolkata", []string{"2026-05-01T18:29:59Z", "2026-05-01T18:30:00Z"}, "2026-05-01 1, 2026-05-02 2"},
		// 2026-03-29 has 23 hours in Berlin: from 23:00 UTC to 22:00 UTC.
		{"a day of 23 hours", "Europe/Berlin", []string{
			"2026-03-28T22:59:59Z", "2026-03-28T23:00:00Z", "2026-03-29T00:59:59Z", "2026-03-29T01:00:00Z", "2026-03-29T21:59:59Z", "2026-03-29T22:00:00Z",
		}, "2026-03-28 1, 2026-03-29 30, 2026-03-30 32"},
		// 2026-10-25 has 25 hours in Berlin: from 22:00 UTC to 23:00 UTC.
		{"a day of 25 hours", "Europe/Berlin", []string{
			"2026-10-24T21:59:59Z", "2026-10-24T22:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T22:59:59Z", "2026-10-25T23:00:00Z",
		}, "2026-10-24 1, 2026-10-25 30, 2026-10-26 32"},
		// Clocks went back from 00:01 to 23:01: the 7th came, went and came again.
		{"back past midnight", "America/St_Johns", []string{
			"2010-11-07T02:29:59Z", "2010-11-07T02:30:30Z", "2010-11-07T02:31:00Z", "2010-11-07T03:29:59Z", "2010-11-07T03:30:00Z",
		}, "2010-11-06 13, 2010-11-07 18"},
		// Samoa went over the date line and left out 2011-12-30.
		{"a day that was not", "Pacific/Apia", []string{"2011-12-30T09:59:59Z", "2011-12-30T10:00:00Z"}, "2011-12-29 1, 2011-12-31 2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := open(t)
			member, account := as(t, caller.Member)
			drink(member, t, h, tt.moments...)
			report, err := h.ReportHydration(member, asked(at(t, "1950-01-01T00:00:00Z"), at(t, "2050-01-01T00:00:00Z"), tt.zone, account))
			if err != nil || days(report) != tt.want {
				t.Errorf("got %s, %v; want %s", days(report), err, tt.want)
			}
		})
	}
}

func TestHydrationReportHasSumsAndEntries(t *testing.T) {
	t.Parallel()
	h := open(t)
	member, _ := as(t, caller.Member)
	record(member, t, h, note()) // no water
	drink(member, t, h, "2026-04-30T23:59:59Z", "2026-05-01T00:00:00Z", "2026-05-01T12:00:00Z", "2026-05-04T00:00:00Z", "2026-05-05T00:00:00Z")
	report, err := h.ReportHydration(member, asked(at(t, "2026-05-01T00:00:00Z"), at(t, "2026-05-05T00:00:00Z"), "UTC", ""))
	if err != nil {
		t.Fatal(err)
	}
	if report.GetTotalMl() != 14 || report.GetDailyAverageMl() != 7 || days(report) != "2026-05-01 6, 2026-05-04 8" {
		t.Errorf("%d ml, %v a day: %s", report.GetTotalMl(), report.GetDailyAverageMl(), days(report))
	}
	var amounts []float64
	for _, entry := range report.GetEntries() {
		amounts = append(amounts, entry.GetAmount())
	}
	if !slices.Equal(amounts, []float64{8, 4, 2}) {
		t.Errorf("entries of %v", amounts)
	}
	empty, err := h.ReportHydration(member, asked(at(t, "2027-01-01T00:00:00Z"), at(t, "2028-01-01T00:00:00Z"), "UTC", ""))
	if err != nil || !proto.Equal(empty, &activityv1.HydrationReport{}) {
		t.Errorf("of nothing: %v, %v", empty, err)
	}
}

func TestHydrationReportOverTheEntryBoundSumsAll(t *testing.T) {
	t.Parallel()
	h := open(t)
	const n = 1_100
	all := make([]*activityv1.Activity, n)
	for i := range all {
		all[i] = water(0.5)
		all[i].StartedAt = timestamppb.New(noon().Add(time.Duration(i) * time.Minute))
	}
	for part := range slices.Chunk(all, 1_000) {
		if _, err := h.ImportActivities(system(t), &activityv1.ImportActivitiesRequest{Activities: part}); err != nil {
			t.Fatal(err)
		}
	}
	report, err := h.ReportHydration(system(t), asked(noon(), noon().AddDate(1, 0, 0), "UTC", ""))
	if err != nil || report.GetTotalMl() != n/2 || len(report.GetEntries()) != 1_000 {
		t.Fatalf("%d ml in %d entries, %v", report.GetTotalMl(), len(report.GetEntries()), err)
	}
	for i, entry := range report.GetEntries() {
		if want := noon().Add(time.Duration(n-1-i) * time.Minute); !entry.GetStartedAt().AsTime().Equal(want) {
			t.Fatalf("entry %d started at %v, want %v", i, entry.GetStartedAt().AsTime(), want)
		}
	}
}

func TestInvalidHydrationInputIsRefused(t *testing.T) {
	t.Parallel()
	h := open(t)
	admin, _ := as(t, caller.Admin)
	for name, request := range map[string]*activityv1.ReportHydrationRequest{
		"no times":        {},
		"no time":         {From: &timestamppb.Timestamp{Nanos: -1}, To: timestamppb.New(noon())},
		"no length":       asked(noon(), noon(), "UTC", ""),
		"backwards":       asked(noon(), noon().Add(-1), "UTC", ""),
		"over 100 years":  asked(noon(), noon().AddDate(100, 0, 1), "UTC", ""),
		"unknown zone":    asked(noon(), noon().Add(1), "Mars/Olympus_Mons", ""),
		"the server's":    asked(noon(), noon().Add(1), "Local", ""),
		"a path":          asked(noon(), noon().Add(1), "../../etc/passwd", ""),
		"a long name":     asked(noon(), noon().Add(1), strings.Repeat("x", 101), ""),
		"no account's id": asked(noon(), noon().Add(1), "UTC", "x"),
	} {
		_, err := h.ReportHydration(admin, request)
		wantRefusal(t, name, err, errs.InvalidArgument, errs.ReasonInvalidField)
	}
}

func TestHydrationOfAnotherAccountIsRefused(t *testing.T) {
	t.Parallel()
	h := open(t)
	alice, aliceID := as(t, caller.Member)
	bob, _ := as(t, caller.Member)
	kept := record(alice, t, h, water(250))
	nobody := ids.New(ids.Account)

	batch, err := h.BatchGetActivities(bob, &activityv1.BatchGetActivitiesRequest{Ids: []string{kept.GetId(), ids.New(ids.Activity)}})
	if err != nil || len(batch.GetActivities()) != 0 {
		t.Errorf("by id: %v, %v", batch, err)
	}
	for _, account := range []string{"", aliceID, nobody} {
		list, err := h.ListActivities(bob, &activityv1.ListActivitiesRequest{Filter: &activityv1.ActivityFilter{AccountId: account}})
		if err != nil || len(list.GetActivities()) != 0 {
			t.Errorf("listed of %q: %v, %v", account, list, err)
		}
		sum, err := h.SumAmounts(bob, &activityv1.SumAmountsRequest{Filter: &activityv1.ActivityFilter{AccountId: account}})
		if err != nil || sum.GetSum() != 0 || sum.GetCount() != 0 {
			t.Errorf("sum of %q: %v, %v", account, sum, err)
		}
	}
	report, err := h.ReportHydration(bob, asked(noon(), noon().Add(time.Hour), "UTC", ""))
	if err != nil || report.GetTotalMl() != 0 || len(report.GetEntries()) != 0 {
		t.Errorf("report: %v, %v", report, err)
	}
	_, ofAlice := h.ReportHydration(bob, asked(noon(), noon().Add(time.Hour), "UTC", aliceID))
	_, ofNobody := h.ReportHydration(bob, asked(noon(), noon().Add(time.Hour), "UTC", nobody))
	wantRefusal(t, "report of another", ofAlice, errs.PermissionDenied, errs.ReasonNotAllowed)
	if ofAlice.Error() != ofNobody.Error() {
		t.Errorf("%v, but of nobody %v", ofAlice, ofNobody)
	}

	operator, _ := as(t, caller.Operator)
	for name, who := range map[string]context.Context{"alice": alice, "an operator": operator} {
		report, err := h.ReportHydration(who, asked(noon(), noon().Add(time.Hour), "UTC", aliceID))
		if err != nil || report.GetTotalMl() != 250 || len(report.GetEntries()) != 1 {
			t.Errorf("%s: %v, %v", name, report, err)
		}
	}
	_, err = h.ReportHydration(t.Context(), asked(noon(), noon().Add(time.Hour), "UTC", ""))
	wantRefusal(t, "nobody known", err, errs.Unauthenticated, "SIGN_IN_REQUIRED")
}
