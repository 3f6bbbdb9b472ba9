package job

import (
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/input"
)

// maxCron bounds what is read as a cron, in bytes.
const maxCron = 200

// allHours is every hour of a cron.SpecSchedule.
const allHours = 1<<24 - 1

// Schedule is a cron in a zone.
//
// Where clocks are put forward or back it does what Vixie cron does
// (https://manpages.debian.org/cron.8, "Notes"): a cron of every hour follows real time, through the
// hour that comes twice and past the one that is missing; a cron of certain hours fires once for
// each time on the wall: at the first of two equal ones, and for a missing one right after the gap.
type Schedule struct {
	spec  *cron.SpecSchedule
	every time.Duration
	zone  *time.Location
}

// ParseCron reads five fields (minute, hour, day of month, month, day of week) or a descriptor
// (@hourly, @daily, @weekly, @monthly, @yearly, @every 90s) in a zone of the IANA database.
// What cannot be read is INVALID_ARGUMENT.
func ParseCron(text, timeZone string) (Schedule, error) {
	zone, err := input.Zone("timeZone", timeZone)
	if err != nil {
		return Schedule{}, err
	}
	if len(text) > maxCron || strings.Contains(text, "=") { // the parser reads TZ=…, and trips over it
		return Schedule{}, errs.Invalid("cron", "is not five fields, as in \"*/5 8-18 * * MON-FRI\"")
	}
	if text, ok := strings.CutPrefix(text, "@every "); ok {
		return parseEvery(text, zone)
	}
	parsed, err := cron.ParseStandard(text)
	if err != nil {
		fault, _, _ := strings.Cut(err.Error(), ": strconv.") // how the parser reads numbers is its own affair
		return Schedule{}, errs.Invalid("cron", "%s", fault)
	}
	spec, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return Schedule{}, errs.Invalid("cron", "cannot be used")
	}
	spec.Location = time.UTC
	return Schedule{spec: spec, zone: zone}, nil
}

func parseEvery(text string, zone *time.Location) (Schedule, error) {
	every, err := time.ParseDuration(text)
	if err != nil {
		return Schedule{}, errs.Invalid("cron", "%s", strings.TrimPrefix(err.Error(), "time: "))
	}
	if every < time.Second || every%time.Second != 0 {
		return Schedule{}, errs.Invalid("cron", "@every takes whole seconds, at least one")
	}
	return Schedule{every: every, zone: zone}, nil
}

// Next is the first time after the given one, if there is one within five years and before 2200.
func (s Schedule) Next(after time.Time) (time.Time, bool) {
	var next time.Time
	switch {
	case s.every > 0:
		next = after.Truncate(time.Second).Add(s.every)
	case s.spec.Hour&allHours == allHours:
		next = s.nextReal(after)
	default:
		next = s.nextOnWall(after)
	}
	return next.UTC(), !next.IsZero() && next.UTC().Year() < input.EndYear
}

// nextReal follows real time: each stretch between two changes of the clocks counts on its own.
func (s Schedule) nextReal(after time.Time) time.Time {
	limit := after.AddDate(5, 0, 0)
	for local := after.In(s.zone); !local.After(limit); {
		_, offset := local.Zone()
		_, end := local.ZoneBounds()
		next := s.spec.Next(onWall(local))
		if next.IsZero() {
			return time.Time{}
		}
		next = offWall(next, offset)
		if end.IsZero() || next.Before(end) {
			return next
		}
		// The end itself belongs to the next stretch, whose first moment may match.
		_, offset = end.Zone()
		if first := s.spec.Next(onWall(end).Add(-1)); offWall(first, offset).Equal(end) {
			return end
		}
		local = end
	}
	return time.Time{}
}

// nextOnWall goes from one time on the wall to the next that has not passed.
func (s Schedule) nextOnWall(after time.Time) time.Time {
	wall := onWall(after.In(s.zone))
	for {
		if wall = s.spec.Next(wall); wall.IsZero() {
			return time.Time{}
		}
		if next := s.firstMoment(wall); next.After(after) {
			return next
		}
	}
}

// firstMoment is when clocks first show the time on the wall, or would have but for a gap.
func (s Schedule) firstMoment(wall time.Time) time.Time {
	const day = 24 * time.Hour // no zone is further from UTC, and none changes twice so soon
	_, before := wall.Add(-day).In(s.zone).Zone()
	_, behind := wall.Add(day).In(s.zone).Zone()
	for _, offset := range []int{max(before, behind), min(before, behind)} {
		if moment := offWall(wall, offset); onWall(moment.In(s.zone)).Equal(wall) {
			return moment
		}
	}
	start, _ := offWall(wall, before).In(s.zone).ZoneBounds()
	return start
}

// onWall is what clocks show at t, as if it were UTC.
func onWall(t time.Time) time.Time {
	_, offset := t.Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// offWall is when clocks at the offset from UTC, in seconds, show what wall says.
func offWall(wall time.Time, offset int) time.Time {
	return wall.Add(-time.Duration(offset) * time.Second)
}
