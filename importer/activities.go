package importer

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/sluicehq/sluice/recordings"
	"github.com/sluicehq/sluice/recordings/open"
)

const maxActivities = 500 // per call

func (in *intake) observations(ctx context.Context, r io.Reader) error {
	source := in.source("telescope-schedule")
	return passActivities(ctx, in, open.Observations(r, in.file.Name, in.settled.read), func(o recordings.Observation) (Activity, error) {
		return in.observation(source, o)
	})
}

func (in *intake) observation(source string, o recordings.Observation) (Activity, error) {
	a := Activity{
		Kind: Observed, Source: source, ExternalID: o.Key, AccountID: in.accountID,
		Title: o.Title, StartedAt: o.Start, EndedAt: o.End, Actor: o.Observer, Subject: o.Target,
		Telescope: &TelescopeWork{
			Site: or(o.Site, in.Site), Telescope: or(o.Telescope, in.Telescope), Instrument: o.Instrument,
			Programme: o.Programme, Observer: o.Observer, Target: o.Target, Status: o.Status,
		},
		Line: o.Line,
	}
	if o.RightAscension != nil && o.Declination != nil {
		a.Sky = &Sky{RightAscension: *o.RightAscension, Declination: *o.Declination, Epoch: o.Epoch}
	}
	if len(o.Fields) > 0 {
		data, err := json.Marshal(o.Fields)
		if err != nil {
			return a, fmt.Errorf("write the fields of line %d: %w", o.Line, err)
		}
		a.DataJSON = string(data)
	}
	return a, nil
}

func or(text, otherwise string) string {
	if text != "" {
		return text
	}
	return otherwise
}

func (in *intake) hydration(ctx context.Context, r io.Reader) error {
	source := in.source("fitbit")
	return passActivities(ctx, in, open.Hydration(r, in.file.Name, in.settled.read), func(log recordings.WaterLog) (Activity, error) {
		a := Activity{
			Kind: Drunk, Source: source, ExternalID: log.LogID, AccountID: in.accountID,
			Title: fmt.Sprintf("Water, %g ml", log.AmountMl), StartedAt: log.Day, Amount: &log.AmountMl, Unit: "ml",
			Total: log.IsTotal, Line: log.Line,
		}
		if log.IsTotal {
			a.EndedAt = log.Day.AddDate(0, 0, 1)
		}
		if log.Day.IsZero() {
			a.StartedAt, a.StartAssumed = in.day, in.Date == ""
			in.assumeToday(a.StartAssumed)
		}
		return a, nil
	})
}

// assumeToday reports once that logs without a date are of today.
func (in *intake) assumeToday(assumed bool) {
	if assumed && !in.today {
		in.today = true
		in.read.Assumed(fmt.Sprintf("logs without a date are of today, %s, unless they are known: --date names another day", in.day.Format(time.DateOnly)))
	}
}

// passActivities converts rows to activities and sends them in batches.
func passActivities[T any](ctx context.Context, in *intake, rows iter.Seq2[T, error], convert func(T) (Activity, error)) error {
	to := newBatches(maxActivities, func(ctx context.Context, _ string, part []Activity) error { return in.sendActivities(ctx, part) })
	activities := func(yield func(Activity, error) bool) {
		for row, err := range rows {
			var a Activity
			if err == nil {
				a, err = convert(row)
			}
			if !yield(a, err) {
				return
			}
		}
	}
	return pass(ctx, in, activities, to, func(Activity) (string, error) { return "", nil })
}

func (in *intake) sendActivities(ctx context.Context, activities []Activity) error {
	return halve(activities, func(part []Activity) error {
		written, faults, err := in.services.Activities.ImportActivities(ctx, part)
		if err != nil {
			return err
		}
		for i, a := range part {
			if reason, bad := faults[i]; bad {
				in.refuse(a.Line, 1, reason)
			}
		}
		in.countAccepted(len(part)-len(faults), written)
		return nil
	}, func(part []Activity, reason string) { in.refuse(part[0].Line, len(part), reason) })
}
