package activity

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/input"
)

const (
	maxEntries = 1_000 // a report
	maxYears   = 100   // a report
	maxReads   = 5     // of entries that change while they are read; then the last report is returned
)

// HydrationInput selects the water entries of a time range.
type HydrationInput struct {
	From      time.Time // inclusive
	To        time.Time // exclusive; at most 100 years after From
	TimeZone  string    // IANA name of the zone that defines days; "" for UTC
	AccountID string    // "" for all visible accounts
}

// HydrationReport sums water entries. Each sum is rounded to whole millilitres on its own.
type HydrationReport struct {
	TotalMl        int64
	DailyAverageMl float64        // over the days with entries; 0 without entries
	Days           []HydrationDay // days with entries, in order
	Entries        []Activity     // the newest first, at most 1,000
}

// HydrationDay is the water of one day in the zone of the report: 23, 24 or 25 hours.
type HydrationDay struct {
	Date    string // YYYY-MM-DD
	TotalMl int64
}

// ReportHydration sums the water entries that the caller may see. A member may name only the own account; any other
// is PERMISSION_DENIED, existing or not.
func (s *Service) ReportHydration(ctx context.Context, in HydrationInput) (HydrationReport, error) {
	who, err := caller.Require(ctx, caller.ActivityRead)
	if err != nil {
		return HydrationReport{}, err
	}
	if in.AccountID != "" && !who.MayActFor(in.AccountID) {
		return HydrationReport{}, errs.Denied("only staff see what others drank")
	}
	zone, err := in.checked()
	if err != nil {
		return HydrationReport{}, err
	}
	selection := Selection{Visible: entity.Activity.Visibility(who), Filter: Filter{
		Kinds: []Kind{Hydration}, StartedFrom: &in.From, StartedBefore: &in.To, AccountID: in.AccountID,
	}}
	var report HydrationReport
	for range maxReads {
		var consistent bool
		if report, consistent, err = s.read(ctx, selection, zone); err != nil || consistent {
			break
		}
	}
	return report, err
}

// read sums the selection and then reads its newest entries. The report is inconsistent if one changed in between.
func (s *Service) read(ctx context.Context, selection Selection, zone *time.Location) (report HydrationReport, consistent bool, err error) {
	tally := tally{zone: zone, days: map[date]float64{}, versions: map[string]int64{}}
	if err := s.store.Amounts(ctx, selection, tally.add); err != nil {
		return HydrationReport{}, false, err
	}
	report = tally.report()
	entries, err := s.entries(ctx, tally.newest, selection.Visible)
	report.Entries = entries[:fitsResponse(entries)]
	return report, len(entries) == len(tally.newest) && !slices.ContainsFunc(entries, func(a Activity) bool { return tally.versions[a.ID] != a.Version }), err
}

func (in HydrationInput) checked() (*time.Location, error) {
	if _, err := input.Time("from", in.From); err != nil {
		return nil, err
	}
	if _, err := input.Time("to", in.To); err != nil {
		return nil, err
	}
	if !in.From.Before(in.To) {
		return nil, errs.Invalid("to", "must be after from")
	}
	if in.To.After(in.From.AddDate(maxYears, 0, 0)) {
		return nil, errs.Invalid("to", "is more than %d years after from", maxYears)
	}
	if err := input.OptionalID("accountId", ids.Account, in.AccountID); err != nil {
		return nil, err
	}
	return input.Zone("timeZone", cmp.Or(in.TimeZone, "UTC"))
}

// entries returns the activities in the order of the ids.
func (s *Service) entries(ctx context.Context, activityIDs []string, visible entity.Visibility) ([]Activity, error) {
	if len(activityIDs) == 0 {
		return nil, nil
	}
	entries, err := s.store.Get(ctx, activityIDs, visible)
	if err != nil {
		return nil, err
	}
	index := make(map[string]int, len(activityIDs))
	for i, id := range activityIDs {
		index[id] = i
	}
	slices.SortFunc(entries, func(a, b Activity) int { return cmp.Compare(index[a.ID], index[b.ID]) })
	return entries, nil
}

type date struct {
	year  int
	month time.Month
	day   int
}

func (d date) String() string { return fmt.Sprintf("%04d-%02d-%02d", d.year, d.month, d.day) }

// tally sums amounts, the newest first. It groups by date, because a clock that is set back past midnight reaches the
// same date twice.
type tally struct {
	zone   *time.Location
	total  float64
	days   map[date]float64
	newest []string // the ids of the newest entries

	versions map[string]int64 // of the newest entries
}

func (t *tally) add(a Amount) error {
	var on date
	on.year, on.month, on.day = a.StartedAt.In(t.zone).Date()
	t.total += a.Value
	t.days[on] += a.Value
	if len(t.newest) < maxEntries {
		t.newest = append(t.newest, a.ActivityID)
		t.versions[a.ActivityID] = a.Version
	}
	return nil
}

func (t *tally) report() HydrationReport {
	report := HydrationReport{TotalMl: roundMl(t.total), Days: make([]HydrationDay, 0, len(t.days))}
	for on, total := range t.days {
		report.Days = append(report.Days, HydrationDay{Date: on.String(), TotalMl: roundMl(total)})
	}
	slices.SortFunc(report.Days, func(a, b HydrationDay) int { return strings.Compare(a.Date, b.Date) })
	if len(t.days) > 0 {
		report.DailyAverageMl = t.total / float64(len(t.days))
	}
	return report
}

func roundMl(ml float64) int64 { return int64(math.Round(ml)) }
