package fitbit

import (
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/recordings"
	"github.com/sluicehq/sluice/recordings/internal/readtest"
)

func TestWaterDayYieldsAllLogs(t *testing.T) {
	t.Parallel()
	logs := readtest.MustRead(t, logsOf(readtest.Data(t, "hydration/fitbit-water-day.json")))
	ml := 0.0
	for _, l := range logs {
		ml += l.AmountMl
	}
	if len(logs) != 5 || ml != 1300 {
		t.Errorf("%d logs of %g ml, want 5 of 1300", len(logs), ml)
	}
	if want := (recordings.WaterLog{LogID: "508693835", AmountMl: 200, Line: 3}); logs[0] != want || logs[4].Line != 7 {
		t.Errorf("first %+v, last %+v", logs[0], logs[4])
	}
}

func TestSimilarFormatsAreRead(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, file, want string }{
		{"no summary", `{"water":[{"logId":"9223372036854775807","amount":250.5}]}`, "[9223372036854775807 250.5 0001-01-01]"},
		{"time series", `{"foods-log-water":[{"dateTime":"2023-03-28","value":"1300"},{"dateTime":"2023-03-29","value":1.5}]}`,
			"[2023-03-28 1300 2023-03-28] [2023-03-29 1.5 2023-03-29]"},
		{"a day in a wrapper", `{"foods-log-water":{"summary":{"water":200},"water":[{"logId":1,"amount":200}]}}`, "[1 200 0001-01-01]"},
		{"one just made", `{"waterLog":{"logId":1,"amount":200}}`, "[1 200 0001-01-01]"},
		{"several days", `[{"water":[{"logId":1,"amount":1}]},{"water":[]},{"water":[{"logId":2,"amount":2}]}]`, "[1 1 0001-01-01] [2 2 0001-01-01]"},
		{"only logs", `[{"logId":1,"amount":1,"dateTime":"2023-03-28"}]`, "[1 1 2023-03-28]"},
		{"nothing drunk", `{"summary":{"water":0},"water":[]}`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, l := range readtest.MustRead(t, logsOf(tt.file)) {
				got = append(got, fmt.Sprint([]any{l.LogID, l.AmountMl, l.Day.Format(time.DateOnly)}))
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("got %s, want %s", s, tt.want)
			}
		})
	}
}

func TestInvalidLogsAreFaultsByLine(t *testing.T) {
	t.Parallel()
	const file = `{ "summary": {
"water": 1300 }, "water": [
{"amount": -1, "logId": 1},
{"amount": "lots", "logId": 1},
{"amount": 200},{},
{"amount": 200, "logId": 1.5},
{"amount": 200, "logId": 1},
{"amount": 200,
 "logId": 1},
{"amount": 200, "logId": 2, "dateTime": "28/03/2023"},
17 ] }`
	good, faults, fatal := readtest.All(t, logsOf(file))
	if fatal != nil || len(good) != 1 || good[0].Line != 7 {
		t.Fatalf("logs %+v, error %v", good, fatal)
	}
	readtest.RequireFaults(t, faults,
		recordings.Fault{Line: 3, Reason: "amount -1 is not above 0"},
		recordings.Fault{Line: 4, Reason: `amount "lots" is not a number`},
		recordings.Fault{Line: 5, Reason: "logId \"\""},
		recordings.Fault{Line: 5, Reason: "amount is missing"},
		recordings.Fault{Line: 6, Reason: `logId "1.5"`},
		recordings.Fault{Line: 8, Reason: "log 1 appears twice"},
		recordings.Fault{Line: 10, Reason: `dateTime "28/03/2023"`},
		recordings.Fault{Line: 11, Reason: `"17" is no water log`},
		recordings.Fault{Line: 2, Reason: "the summary says 1300 ml, the good logs add up to 200 ml"},
	)
}

func TestUnreadableFilesAreErrors(t *testing.T) {
	t.Parallel()
	whole := readtest.Data(t, "hydration/fitbit-water-day.json")
	tests := []struct{ name, file, want string }{
		{"empty", "", "empty"},
		{"cut short", whole[:200], "unexpected end of file at line 6"},
		{"broken", "{\n\"water\": [NaN]}", "line 2: not JSON"},
		{"something else", `{"summary":{"steps":1}}`, "no water log found"},
		{"nested", strings.Repeat("[", 100) + strings.Repeat("]", 100), "nested more than 16 deep"},
		{"too long", strings.Repeat(" ", maxFile+1), "longer than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, _, fatal := readtest.All(t, logsOf(tt.file))
			readtest.RequireError(t, fatal, tt.want)
		})
	}
}

func TestReaderStopsWithCaller(t *testing.T) {
	t.Parallel()
	for range logsOf(readtest.Data(t, "hydration/fitbit-water-day.json")) {
		return // a yield after this would panic
	}
}

func FuzzFitbit(f *testing.F) {
	f.Add(readtest.Data(f, "hydration/fitbit-water-day.json"))
	f.Add(`{"foods-log-water":[{"dateTime":"2023-03-28","value":"1300"}]}`)
	f.Add(`{"water":[{}]}`)
	f.Add(`[{"waterLog":{"logId":1,"amount":1e3}}]`)
	f.Fuzz(func(t *testing.T, file string) {
		good, _, _ := readtest.All(t, logsOf(file))
		for _, l := range good {
			if !(l.AmountMl > 0 && l.AmountMl <= maxAmount) || l.LogID == "" || l.Line < 1 {
				t.Errorf("%+v", l)
			}
		}
	})
}

func logsOf(file string) iter.Seq2[recordings.WaterLog, error] {
	return WaterLogs(strings.NewReader(file), recordings.Options{})
}
