package job

import (
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/input"
)

// maxCron bounds a cron expression, in bytes.
const maxCron = 200

// allHours is the bit set of every hour in a cron.SpecSchedule.
const allHours = 1<<24 - 1

// Schedule is a cron expression in a time zone.
//
// When clocks change, it behaves like Vixie cron (https://manpages.debian.org/cron.8, "Notes"). An expression for
// every hour follows real time, through the repeated hour and past the missing one. An expression for certain hours
// fires once per local time: at the first of two equal ones, and right after the change for a missing one.
type Schedule struct {
	spec  *cron.SpecSchedule
	every time.Duration
	zone  *time.Location
}

// ParseCron parses five fields (minute, hour, day of month, month, day of week) or a descriptor (@hourly, @daily,
// @weekly, @monthly, @yearly, @every 90s) in a zone of the IANA database. An invalid expression is INVALID_ARGUMENT.
func ParseCron(text, timeZone string) (Schedule, error) {
	zone, err := input.Zone("timeZone", timeZone)
	if err != nil {
		return Schedule{}, err
	}
	if len(text) > maxCron || strings.Contains(text, "=") { // the parser interprets TZ=…, and panics on some values
		return Schedule{}, errs.Invalid("cron", "is not five fields, as in \"*/5 8-18 * * MON-FRI\"")
	}
	if text, ok := strings.CutPrefix(text, "@every "); ok {
		return parseEvery(text, zone)
	}
	parsed, err := cron.ParseStandard(sundays(text))
	if err != nil {
		fault, _, _ := strings.Cut(err.Error(), ": strconv.") // removes how the parser reads numbers
		return Schedule{}, errs.Invalid("cron", "%s", fault)
	}
	spec, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return Schedule{}, errs.Invalid("cron", "cannot be used")
	}
	spec.Location = time.UTC
	return Schedule{spec: spec, zone: zone}, nil
}

// sundays replaces 7 for Sunday in the day of the week by 0, as cron accepts both. A range up to 7 becomes a list.
func sundays(text string) string {
	fields := strings.Fields(text)
	if len(fields) != 5 || !strings.Contains(fields[4], "7") {
		return text
	}
	parts := strings.Split(fields[4], ",")
	for i, part := range parts {
		days, step, stepped := strings.Cut(part, "/")
		from, to, isRange := strings.Cut(days, "-")
		every, err := 1, error(nil)
		if stepped {
			every, err = strconv.Atoi(step)
		}
		first, badDay := strconv.Atoi(from)
		switch {
		case days == "7" && (!stepped || err == nil && every > 0):
			parts[i] = "0"
		case isRange && to == "7" && err == nil && every > 0 && badDay == nil && first >= 0 && first <= 7:
			var list []string
			for day := first; day <= 7; day += every {
				list = append(list, strconv.Itoa(day%7))
			}
			parts[i] = strings.Join(list, ",")
		}
	}
	fields[4] = strings.Join(parts, ",")
	return strings.Join(fields, " ")
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

// Next returns the first firing after the time; false if there is none within five years or before 2200.
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

// nextReal follows real time. It searches each period between two clock changes.
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
		// The end itself belongs to the next period, whose first moment may match.
		_, offset = end.Zone()
		if first := s.spec.Next(onWall(end).Add(-1)); offWall(first, offset).Equal(end) {
			return end
		}
		local = end
	}
	return time.Time{}
}

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

// firstMoment returns the first moment with the local time; for a missing local time the end of the change.
func (s Schedule) firstMoment(wall time.Time) time.Time {
	const day = 24 * time.Hour // no zone is further from UTC, and none changes twice within a day
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

func onWall(t time.Time) time.Time {
	_, offset := t.Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// offWall returns the moment at which clocks with the offset from UTC, in seconds, show the local time.
func offWall(wall time.Time, offset int) time.Time {
	return wall.Add(-time.Duration(offset) * time.Second)
}
