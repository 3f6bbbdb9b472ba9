package value

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A year outside this range is a wrong unit or a typing error.
const (
	FirstYear = 1900
	LastYear  = 2199
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
}

// Time parses RFC 3339, similar forms ("2006-01-02 15:04:05.5 +0200") and Unix times, and returns the time in
// UTC. A time without an offset is in loc. The number of digits determines the unit of a Unix time: 9 or 10
// are seconds, 12 or 13 milliseconds, 15 or 16 microseconds, 18 or 19 nanoseconds.
func Time(s string, loc *time.Location) (time.Time, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return time.Time{}, fmt.Errorf("is missing")
	}
	t, ok := unixTime(s)
	if !ok {
		t, ok = writtenTime(s, loc)
	}
	if !ok && dayOrMonth.MatchString(s) {
		return t, fmt.Errorf("%s is ambiguous, day or month first: write it as 2006-01-02", Quote(s))
	}
	if !ok {
		return t, fmt.Errorf("%s is no time in RFC 3339, nor a Unix time", Quote(s))
	}
	if y := t.Year(); y < FirstYear || y > LastYear {
		return t, fmt.Errorf("%s is outside the years %d to %d", Quote(s), FirstYear, LastYear)
	}
	return t.UTC(), nil
}

func writtenTime(s string, loc *time.Location) (time.Time, bool) {
	if len(s) < len("2006-01-02") {
		return time.Time{}, false
	}
	date, clock := s[:10], s[10:]
	if date[4] == '/' && date[7] == '/' {
		date = strings.ReplaceAll(date, "/", "-")
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
		if t, err := time.ParseInLocation(layout, date+clock, loc); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
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

// billionths parses the digits after a decimal point, up to the ninth.
func billionths(fraction string) (int64, bool) {
	if len(fraction) > 9 {
		fraction = fraction[:9]
	}
	n, err := strconv.ParseUint(fraction+strings.Repeat("0", 9-len(fraction)), 10, 32)
	return int64(n), err == nil
}
