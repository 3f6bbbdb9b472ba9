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
)

// HydrationInput asks for the water of a stretch of time.
type HydrationInput struct {
	From      time.Time // inclusive
	To        time.Time // exclusive; at most 100 years after From
	TimeZone  string    // IANA: where a day begins; "" for UTC
	AccountID string    // "" for all that the caller may see
}

// HydrationReport adds up water. Sums are rounded to whole millilitres, each for itself.
type HydrationReport struct {
	TotalMl        int64
	DailyAverageMl float64        // over the days on which something was logged; 0 without any
	Days           []HydrationDay // on which something was logged, in order
	Entries        []Activity     // the newest first, at most 1,000
}

// HydrationDay is the water of one day, from midnight to midnight where it was asked for, be that 23
// hours, 24 or 25.
type HydrationDay struct {
	Date    string // YYYY-MM-DD
	TotalMl int64
}

// ReportHydration adds up the water that the caller may see. Members may ask for their own account:
// any other is PERMISSION_DENIED, whether or not it exists.
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
	visible := entity.Activity.Visibility(who)
	tally := tally{zone: zone, days: map[date]float64{}}
	err = s.store.Amounts(ctx, Selection{Visible: visible, Filter: Filter{
		Kinds: []Kind{Hydration}, StartedFrom: &in.From, StartedBefore: &in.To, AccountID: in.AccountID,
	}}, tally.add)
	if err != nil {
		return HydrationReport{}, err
	}
	report := tally.report()
	report.Entries, err = s.entries(ctx, tally.newest, visible)
	return report, err
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

// entries are the activities in the order of their ids. Activities do not change, so they are those
// that were added up, though they are read later.
func (s *Service) entries(ctx context.Context, activityIDs []string, visible entity.Visibility) ([]Activity, error) {
	if len(activityIDs) == 0 {
		return nil, nil
	}
	entries, err := s.store.Get(ctx, activityIDs, visible)
	if err != nil {
		return nil, err
	}
	place := make(map[string]int, len(activityIDs))
	for i, id := range activityIDs {
		place[id] = i
	}
	slices.SortFunc(entries, func(a, b Activity) int { return cmp.Compare(place[a.ID], place[b.ID]) })
	return entries[:fitting(entries)], nil
}

type date struct {
	year  int
	month time.Month
	day   int
}

func (d date) String() string { return fmt.Sprintf("%04d-%02d-%02d", d.year, d.month, d.day) }

// tally gathers amounts that come the newest first. Days are kept by date, as a clock that is set
// back past midnight comes to the same date twice.
type tally struct {
	zone   *time.Location
	total  float64
	days   map[date]float64
	newest []string // the ids of the newest entries
}

func (t *tally) add(a Amount) error {
	var on date
	on.year, on.month, on.day = a.StartedAt.In(t.zone).Date()
	t.total += a.Value
	t.days[on] += a.Value
	if len(t.newest) < maxEntries {
		t.newest = append(t.newest, a.ActivityID)
	}
	return nil
}

func (t *tally) report() HydrationReport {
	report := HydrationReport{TotalMl: whole(t.total), Days: make([]HydrationDay, 0, len(t.days))}
	for on, total := range t.days {
		report.Days = append(report.Days, HydrationDay{Date: on.String(), TotalMl: whole(total)})
	}
	slices.SortFunc(report.Days, func(a, b HydrationDay) int { return strings.Compare(a.Date, b.Date) })
	if len(t.days) > 0 {
		report.DailyAverageMl = t.total / float64(len(t.days))
	}
	return report
}

func whole(ml float64) int64 { return int64(math.Round(ml)) }
