package job

import (
	"cmp"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/input"
)

// Plan says when a job runs: once at RunAt, or whenever Cron says.
type Plan struct {
	RunAt    *time.Time // nil on a cron
	Cron     string     // "" for once
	TimeZone string     // IANA name of the zone that Cron is read in
}

// repeats tells whether the plan is a cron.
func (p Plan) repeats() bool { return p.Cron != "" }

// same tells whether both plans name the same times. The zone counts on a cron only.
func (p Plan) same(other Plan) bool {
	if p.Cron != other.Cron {
		return false
	}
	if p.repeats() {
		return p.TimeZone == other.TimeZone
	}
	return p.RunAt != nil && other.RunAt != nil && p.RunAt.Equal(*other.RunAt)
}

// first is when a job under this plan runs first; INVALID_ARGUMENT when the plan cannot be read.
func (p Plan) first(now time.Time) (time.Time, error) {
	if !p.repeats() {
		_, err := input.Zone("timeZone", p.TimeZone)
		return *p.RunAt, err
	}
	schedule, err := ParseCron(p.Cron, p.TimeZone)
	if err != nil {
		return time.Time{}, err
	}
	next, ok := schedule.Next(now)
	if !ok {
		return time.Time{}, errs.Invalid("cron", "never comes true")
	}
	return next, nil
}

// again is when a job that ran is to run next, if ever.
func (p Plan) again(after time.Time) (time.Time, bool) {
	if !p.repeats() {
		return time.Time{}, false
	}
	next, err := p.first(after)
	return next, err == nil
}

// revised is the plan after an update that names some of it.
func (p Plan) revised(runAt *time.Time, cron, timeZone *string) (Plan, error) {
	revised := p
	if timeZone != nil {
		revised.TimeZone = cmp.Or(*timeZone, utc)
	}
	switch {
	case cron != nil && *cron != "":
		if runAt != nil {
			return p, errBothTimes()
		}
		revised.Cron, revised.RunAt = *cron, nil
	case cron == nil && p.repeats():
		if runAt != nil {
			return p, errs.Invalid("runAt", "this job runs on a cron: send an empty cron with it to make it run once")
		}
	default:
		revised.Cron = ""
		if runAt != nil {
			revised.RunAt = runAt
		}
		if revised.RunAt == nil {
			return p, errs.Invalid("runAt", "is needed when the cron is taken away")
		}
	}
	return revised, nil
}

func errBothTimes() error { return errs.Invalid("runAt", "give runAt or cron, not both") }

// utc is the zone of a plan that names none.
const utc = "UTC"
