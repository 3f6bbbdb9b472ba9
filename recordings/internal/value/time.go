package value

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A year outside this range is a wrong unit, a typo, or a clock that was not set: such clocks start in 1900, 1901,
// 1970, or with GPS time in January 1980.
const (
	FirstYear = 1980
	LastYear  = 2199
)

// clockUnset is the first day of GPS time, which receivers report before they know the time.
var clockUnset = time.Date(1980, 1, 6, 0, 0, 0, 0, time.UTC)

// The offsets from UTC in use, in seconds: of Kiribati and of Baker Island. "+24:00" is a typing error.
const (
	maxOffset = 14 * 3600
	minOffset = -12 * 3600
)

// dayOrMonth matches a date whose first number may be the day or the month.
var dayOrMonth = regexp.MustCompile(`^\d{1,2}[/.\-]\d{1,2}[/.\-]\d{2,4}(\D|$)`)

var layouts = []string{
	"2006-01-02 15:04:05", // with or without a fraction
	"2006-01-02 15:04",
	"2006-01-02",
	"2006-01-02 15:04:05Z07:00",
	"2006-01-02 15:04Z07:00",
	"2006-01-02 15:04:05Z0700",
	"2006-01-02 15:04Z0700",
	"2006-01-02 15:04:05Z07",
	"2006-01-02 3:04:05PM",
	"2006-01-02 3:04PM",
}

// yearLast is a date with the year at its end, and the text after it.
var yearLast = regexp.MustCompile(`^(\d{1,2})[/.\-](\d{1,2})[/.\-](\d{2}|\d{4})(\D.*)?$`)

// ReorderDate rewrites a date such as 2/1/2026 as 2026-01-02 or 2026-02-01, by the given order. Without an order, and
// for any other text, it returns the text unchanged.
func ReorderDate(s, order string) string {
	parts := yearLast.FindStringSubmatch(strings.TrimSpace(s))
	if parts == nil || order == "" {
		return s
	}
	day, month := parts[1], parts[2]
	if order == "MDY" {
		day, month = month, day
	}
	year := parts[3]
	switch {
	case len(year) == 2 && year >= "80":
		year = "19" + year
	case len(year) == 2:
		year = "20" + year
	}
	return fmt.Sprintf("%s-%02s-%02s%s", year, month, day, parts[4])
}

// Time parses RFC 3339, similar forms ("2006-01-02 15:04:05.5 +0200") and Unix times, and returns UTC. A time without
// an offset is in loc; it is an error where the clocks of loc skip or repeat it. The number of digits determines the
// unit of a Unix time: 9 or 10 are seconds, 12 or 13 milliseconds, 15 or 16 microseconds, 18 or 19 nanoseconds.
func Time(s string, loc *time.Location) (time.Time, error) {
	i, err := ParseInstant(s, loc)
	if err == nil && i.Ambiguous() {
		err = fmt.Errorf("%s is an ambiguous local time: the clocks of %s were set back, and show it twice; write its offset", Quote(s), loc)
	}
	return i.First, err
}

// Instant is a parsed time. A local time that the clocks repeat has two instants.
type Instant struct {
	First  time.Time // the only one, unless ambiguous
	Second time.Time // zero unless ambiguous
}

// Ambiguous reports whether the time has two instants.
func (i Instant) Ambiguous() bool { return !i.Second.IsZero() }

// ParseInstant is Time, but an ambiguous local time is not an error.
func ParseInstant(s string, loc *time.Location) (Instant, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return Instant{}, fmt.Errorf("is missing")
	}
	var i Instant
	t, ok := unixTime(s)
	if i.First = t; !ok {
		var err error
		if i, ok, err = writtenTime(s, loc); err != nil {
			return Instant{}, err
		}
	}
	if !ok && dayOrMonth.MatchString(s) {
		return i, fmt.Errorf("%s is ambiguous, day or month first: write it as 2006-01-02", Quote(s))
	}
	if !ok {
		return i, fmt.Errorf("%s is no time in RFC 3339, nor a Unix time", Quote(s))
	}
	if y := i.First.Year(); y < FirstYear || y > LastYear {
		return i, fmt.Errorf("%s is outside the years %d to %d: was the clock of the recorder set?", Quote(s), FirstYear, LastYear)
	}
	if i.First.Truncate(24 * time.Hour).Equal(clockUnset) {
		return i, fmt.Errorf("%s is the start of GPS time: the clock of the recorder was not set", Quote(s))
	}
	i.First = i.First.UTC()
	return i, nil
}

// writtenTime parses a date with an optional time of day and offset.
func writtenTime(s string, loc *time.Location) (i Instant, ok bool, err error) {
	if len(s) < len("2006-01-02") {
		return i, false, nil
	}
	date, clock := s[:10], s[10:]
	if date[4] == date[7] && (date[4] == '/' || date[4] == '.') {
		date = date[:4] + "-" + date[5:7] + "-" + date[8:]
	}
	if clock != "" && (clock[0] == 'T' || clock[0] == 't') {
		clock = " " + clock[1:]
	}
	clock = strings.TrimSuffix(clock, " UTC")
	if len(clock) < len(s)-10 && !strings.HasSuffix(clock, "Z") {
		clock += "Z" // the suffix " UTC" was removed
	}
	// A space may separate the offset: " 15:04:05 +0200".
	if i := strings.LastIndexByte(clock, ' '); i > 0 {
		clock = clock[:i] + clock[i+1:]
	}
	for _, layout := range layouts {
		t, err := time.Parse(layout, date+strings.ToUpper(clock))
		if err != nil {
			continue
		}
		if strings.Contains(layout, "Z07") {
			if _, offset := t.Zone(); offset > maxOffset || offset < minOffset {
				return i, true, fmt.Errorf("%s has an offset of more than %d hours, or less than %d", Quote(s), maxOffset/3600, minOffset/3600)
			}
			return Instant{First: t}, true, nil
		}
		if layout == time.DateOnly {
			return Instant{First: time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, loc)}, true, nil
		}
		i, err = localTime(t, loc)
		if err != nil {
			err = fmt.Errorf("%s %w", Quote(s), err)
		}
		return i, true, err
	}
	return i, false, nil
}

// localTime returns the instants at which the clocks of loc show the wall time, which is given as if it were UTC.
func localTime(wall time.Time, loc *time.Location) (i Instant, err error) {
	// The offsets before and after any change of the clocks near this time.
	for _, near := range []time.Duration{-24 * time.Hour, 24 * time.Hour} {
		_, offset := wall.Add(near).In(loc).Zone()
		candidate := wall.Add(-time.Duration(offset) * time.Second)
		if _, shown := candidate.In(loc).Zone(); shown != offset {
			continue // the clocks did not have this offset then
		}
		switch {
		case i.First.IsZero():
			i.First = candidate
		case candidate.Before(i.First):
			i.First, i.Second = candidate, i.First
		case candidate.After(i.First):
			i.Second = candidate
		}
	}
	if i.First.IsZero() {
		return i, fmt.Errorf("is a local time that does not exist: the clocks of %s skipped it", loc)
	}
	return i, nil
}

// unixTime parses digits with an optional fraction of their unit.
func unixTime(s string) (time.Time, bool) {
	whole, fraction, _ := strings.Cut(s, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || whole[0] < '0' || whole[0] > '9' {
		return time.Time{}, false
	}
	switch len(whole) {
	case 9, 10:
		nanos, ok := billionths(fraction)
		return time.Unix(n, nanos).UTC(), ok
	case 12, 13:
		nanos, ok := billionths(fraction)
		return time.UnixMilli(n).Add(time.Duration(nanos / 1000)).UTC(), ok
	case 15, 16:
		return time.UnixMicro(n).UTC(), fraction == ""
	case 18, 19:
		return time.Unix(0, n).UTC(), fraction == ""
	}
	return time.Time{}, false
}

// billionths parses up to nine digits of a fraction.
func billionths(fraction string) (int64, bool) {
	if len(fraction) > 9 {
		fraction = fraction[:9]
	}
	n, err := strconv.ParseUint(fraction+strings.Repeat("0", 9-len(fraction)), 10, 32)
	return int64(n), err == nil
}
