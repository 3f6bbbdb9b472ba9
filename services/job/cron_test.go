package job

import (
	"errors"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
)

func mustTime(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// The clocks of Berlin go from 02:00 to 03:00 on 2026-03-29 and from 03:00 back to 02:00 on
// 2026-10-25; São Paulo had no midnight on 2018-11-04; Lord Howe moves by half an hour, at 02:00 on
// 2026-04-05 back to 01:30; Apia had no 30 December 2011.
func TestCronVariousExpressionsFireAtExpectedTimes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cron, zone, after string
		want              []string
	}{
		"every five minutes":             {"*/5 * * * *", "UTC", "2026-03-01T12:03:10Z", []string{"2026-03-01T12:05:00Z", "2026-03-01T12:10:00Z"}},
		"not at the time itself":         {"0 12 * * *", "UTC", "2026-03-01T12:00:00Z", []string{"2026-03-02T12:00:00Z"}},
		"office hours in a zone":         {"0 9 * * MON-FRI", "America/New_York", "2026-03-06T13:00:00Z", []string{"2026-03-06T14:00:00Z", "2026-03-09T13:00:00Z"}},
		"a day of the month or the week": {"0 0 13 * FRI", "UTC", "2026-03-07T00:00:00Z", []string{"2026-03-13T00:00:00Z", "2026-03-20T00:00:00Z"}},
		"7 is Sunday":                    {"0 9 * * 7", "UTC", "2026-03-06T12:00:00Z", []string{"2026-03-08T09:00:00Z", "2026-03-15T09:00:00Z"}},
		"a list with 7":                  {"0 9 * * 3,7", "UTC", "2026-03-06T12:00:00Z", []string{"2026-03-08T09:00:00Z", "2026-03-11T09:00:00Z"}},
		"a range up to 7":                {"0 9 * * 5-7", "UTC", "2026-03-06T12:00:00Z", []string{"2026-03-07T09:00:00Z", "2026-03-08T09:00:00Z", "2026-03-13T09:00:00Z"}},
		"a range up to 7 in steps":       {"0 9 * * 1-7/3", "UTC", "2026-03-06T12:00:00Z", []string{"2026-03-08T09:00:00Z", "2026-03-09T09:00:00Z", "2026-03-12T09:00:00Z"}},
		"7 elsewhere is 7":               {"7 7 7 7 *", "UTC", "2026-03-06T12:00:00Z", []string{"2026-07-07T07:07:00Z"}},
		"29 February":                    {"0 0 29 2 *", "UTC", "2026-03-01T00:00:00Z", []string{"2028-02-29T00:00:00Z"}},
		"@daily":                         {"@daily", "Asia/Tokyo", "2026-03-01T12:00:00Z", []string{"2026-03-01T15:00:00Z"}},
		"@every":                         {"@every 90s", "UTC", "2026-03-01T12:00:00Z", []string{"2026-03-01T12:01:30Z", "2026-03-01T12:03:00Z"}},

		"a missing hour is made up for":       {"30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", []string{"2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"}},
		"once, when two times are missing":    {"0,30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", []string{"2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"}},
		"an hour that comes twice fires once": {"30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", []string{"2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"}},
		"asked in its second coming":          {"30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", []string{"2026-10-26T01:30:00Z"}},
		"every hour goes past a missing one":  {"30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", []string{"2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z"}},
		"every hour comes twice":              {"30 * * * *", "Europe/Berlin", "2026-10-24T23:45:00Z", []string{"2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"}},
		"on the stroke of the change":         {"0 * * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", []string{"2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"}},
		"a missing midnight":                  {"0 0 * * *", "America/Sao_Paulo", "2018-11-03T12:00:00Z", []string{"2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"}},
		"a day that begins late":              {"*/30 * 4 11 *", "America/Sao_Paulo", "2018-11-03T12:00:00Z", []string{"2018-11-04T03:00:00Z", "2018-11-04T03:30:00Z"}},
		"half an hour twice":                  {"45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00:00Z", []string{"2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"}},
		"a missing day":                       {"0 8 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", []string{"2011-12-30T10:00:00Z", "2012-12-29T18:00:00Z"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			schedule, err := ParseCron(test.cron, test.zone)
			if err != nil {
				t.Fatal(err)
			}
			at := mustTime(t, test.after)
			for _, want := range test.want {
				next, ok := schedule.Next(at)
				if !ok || !next.Equal(mustTime(t, want)) {
					t.Fatalf("after %v: got %v, %v, want %v", at, next, ok, want)
				}
				at = next
			}
		})
	}
}

func TestCronInvalidExpressionIsRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ cron, zone, field string }{
		{"", "UTC", "cron"},
		{"* * * *", "UTC", "cron"},
		{"* * * * * *", "UTC", "cron"},
		{"60 * * * *", "UTC", "cron"},
		{"*/0 * * * *", "UTC", "cron"},
		{"5-1 * * * *", "UTC", "cron"},
		{"* * * * 8", "UTC", "cron"},
		{"* * * * 7-2", "UTC", "cron"},
		{"* * * * 8-7", "UTC", "cron"},
		{"* * * * 1-7/0", "UTC", "cron"},
		{"* * * 7/7 77", "UTC", "cron"},
		{"TZ=Europe/Berlin", "UTC", "cron"},
		{"CRON_TZ=UTC * * * * *", "UTC", "cron"},
		{"@reboot", "UTC", "cron"},
		{"@every 0s", "UTC", "cron"},
		{"@every -1h", "UTC", "cron"},
		{"@every 1500ms", "UTC", "cron"},
		{"@every soon", "UTC", "cron"},
		{"* * * * *", "", "timeZone"},
		{"* * * * *", "Local", "timeZone"},
		{"* * * * *", "Mars/Olympus", "timeZone"},
		{"* * * * *", "../../etc/passwd", "timeZone"},
	} {
		_, err := ParseCron(test.cron, test.zone)
		wantInvalid(t, err, test.field)
	}
}

func TestCronThatNeverFiresIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"0 0 30 2 *", "0 0 31 4,6,9,11 *", ", * * * *", "@every 2000000h"} {
		_, err := Plan{Cron: text, TimeZone: "UTC"}.first(mustTime(t, "2026-03-01T00:00:00Z"))
		wantInvalid(t, err, "cron")
	}
}

// wantInvalid checks that err is INVALID_ARGUMENT about the field.
func wantInvalid(t *testing.T, err error, field string) {
	t.Helper()
	e, ok := errors.AsType[*errs.Error](err)
	if !ok || e.Code != errs.InvalidArgument || len(e.Message) < len(field) || e.Message[:len(field)] != field {
		t.Errorf("got %v, want INVALID_ARGUMENT about %s", err, field)
	}
}

func FuzzParseCron(f *testing.F) {
	for _, text := range []string{"*/5 8-18 * * MON-FRI", "@every 90s", "@daily", "0 0 30 2 *", "TZ=UTC", "1-5/2,7 * ? * 0", "0 9 * * 1-7/3", "0 9 * * 7,5-7"} {
		f.Add(text, "Europe/Berlin", int64(1_774_000_000))
	}
	f.Fuzz(func(t *testing.T, text, zone string, unix int64) {
		schedule, err := ParseCron(text, zone)
		if err != nil {
			return
		}
		after := time.Unix(unix%4_000_000_000, 0)
		if next, ok := schedule.Next(after); ok && !next.After(after) {
			t.Errorf("%q in %q after %v: %v", text, zone, after, next)
		}
	})
}
