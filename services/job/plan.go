package job

import (
	"cmp"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/input"
)

// Plan defines when a job runs: once at RunAt, or at each firing of Cron.
type Plan struct {
	RunAt    *time.Time // nil on a cron
	Cron     string     // "" for a single run
	TimeZone string     // IANA name of the zone of Cron
}

func (p Plan) repeats() bool { return p.Cron != "" }

// same reports whether both plans fire at the same times. The zone matters on a cron only.
func (p Plan) same(other Plan) bool {
	if p.Cron != other.Cron {
		return false
	}
	if p.repeats() {
		return p.TimeZone == other.TimeZone
	}
	return p.RunAt != nil && other.RunAt != nil && p.RunAt.Equal(*other.RunAt)
}

// first returns the first firing under this plan; INVALID_ARGUMENT when the plan is invalid.
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

func (p Plan) next(after time.Time) (time.Time, bool) {
	if !p.repeats() {
		return time.Time{}, false
	}
	next, err := p.first(after)
	return next, err == nil
}

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

// utc is the default zone of a plan.
const utc = "UTC"
