package uplink

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/services/device"
)

func arrived() time.Time { return time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC) }

func TestTelemetryIsRead(t *testing.T) {
	t.Parallel()
	for payload, want := range map[string]string{
		`{"temperature": 21.5}`:                                            "temperature 06:00:00 21.5",
		`{"b": 1, "a": -2e3}`:                                              "a 06:00:00 -2000, b 06:00:00 1",
		` {"values": {"t": 1}} `:                                           "t 06:00:00 1",
		`{"values": 4, "at": 3}`:                                           "at 06:00:00 3, values 06:00:00 4",
		`{"at":"2026-03-01T05:00:00+01:00","values":{"t":1}}`:              "t 04:00:00 1",
		`[{"at":1772341200000,"values":{"t":1}},{"values":{"t":2,"u":3}}]`: "t 05:00:00 1, t 06:00:00 2, u 06:00:00 3",
		`{"at":"2026-03-01T06:59:59Z","values":{"t":1}}`:                   "t 06:59:59 1",
		`{"at":"1999-03-01T06:00:00Z","values":{"t":1}}`:                   "t 06:00:00 1",
		`{"at":1772341200,"values":{"t":1}}`:                               "t 05:00:00 1", // seconds
		`{"ts":1772341200000,"values":{"t":1}}`:                            "t 05:00:00 1",
		`{"timestamp":"2026-03-01T05:00:00Z","values":{"t":1}}`:            "t 05:00:00 1",
		`{"time":1772341200,"t":1}`:                                        "t 05:00:00 1",
		`{"t":1,"at":"2026-03-01T05:00:00Z"}`:                              "t 05:00:00 1",
		`{"time":12,"t":1}`:                                                "t 06:00:00 1, time 06:00:00 12",
		`{"at":null,"values":{"t":1}}`:                                     "t 06:00:00 1",
		`[{"t":1},{"ts":1772341200,"t":2}]`:                                "t 06:00:00 1, t 05:00:00 2",
	} {
		readings, err := readReadings(device.UpMessage{Payload: []byte(payload), ArrivedAt: arrived()})
		if err != nil {
			t.Errorf("%s: %v", payload, err)
		}
		words := make([]string, len(readings))
		for i, r := range readings {
			words[i] = fmt.Sprint(r.Key, " ", r.At.Format("15:04:05"), " ", r.Value)
		}
		if got := strings.Join(words, ", "); got != want {
			t.Errorf("%s is %q, want %q", payload, got, want)
		}
	}
}

func TestBadTelemetryIsRefused(t *testing.T) {
	t.Parallel()
	for payload, want := range map[string]string{
		``:                   "is not JSON",
		`21.5`:               "must not be a number",
		`"x"`:                "must not be a string",
		`null`:               "must be 1 to",
		`{}`:                 "must be 1 to",
		`[]`:                 "must be 1 to",
		`[null]`:             "must be 1 to",
		`{"t": "warm"}`:      "must not be a string",
		`{"t": true}`:        "must not be a bool",
		`{"t": null}`:        `"t" must be a number`,
		`{"t": NaN}`:         "is not JSON, at byte",
		`{"t": Infinity}`:    "is not JSON, at byte",
		`{"t": 1e400}`:       "must not be a number",
		`{"t": 1e200}`:       "must be a number between",
		`{"t": 1} {"t": 2}`:  "goes on after",
		`{"t": 1`:            "is not JSON",
		`{" ": 1}`:           "key",
		"{\"a\\u0000b\": 1}": "key",
		`{"at":"2026-03-01T07:00:01Z","values":{"t":1}}`: "in the future",
		`{"at":"yesterday","values":{"t":1}}`:            "neither RFC 3339 nor milliseconds",
		`{"at":1.5,"values":{"t":1}}`:                    "neither RFC 3339 nor milliseconds",
		`{"at":99999999999999999,"values":{"t":1}}`:      "in the future",
		`[{"values":{"t":1}},7]`:                         "must not be a number",
		`{"at":1780000,"values":{"t":1}}`:                "is of the year 1970: set the clock",
		`{"at":315964800,"values":{"t":1}}`:              "is of the year 1980: set the clock",
		`{"at":"1901-12-13T20:45:52Z","values":{"t":1}}`: "is of the year 1901: set the clock",
		`{"timestamp":4,"t":1}`:                          "is of the year 1970: set the clock",
		`{"timestamp":"soon","t":1}`:                     "neither RFC 3339",
		`{"time":1772341200.5,"t":1}`:                    "neither RFC 3339",
		`{"at":1772341200,"ts":1772341200,"t":1}`:        "two times",
		`{"at":1772341200,"values":{"t":1},"unit":"C"}`:  `"unit" is not "at" or "values"`,
		`[{"values":{"t":1}},{}]`:                        "must be 1 to",
		`{"temperature":21,"state":"on"}`:                `"state" must not be a string`,
	} {
		readings, err := readReadings(device.UpMessage{Payload: []byte(payload), ArrivedAt: arrived()})
		if err == nil || !blamesDevice(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v, %v; want %q", payload, readings, err, want)
		}
	}
}

func TestPositionsAreRead(t *testing.T) {
	t.Parallel()
	for payload, want := range map[string]string{
		`[{"lat":0,"lon":11.5},{"lat":48.1,"lon":0}]`:                                                                    "0 11.5 06:00:00, 48.1 0 06:00:00",
		`{"latitude": 48.1, "longitude": 11.5}`:                                                                          "48.1 11.5 06:00:00",
		`{"_type":"location","lat":48.1,"lon":11.5,"tst":1772341200,"acc":5,"vel":3}`:                                    "48.1 11.5 05:00:00",
		`[{"latitude":1,"longitude":2,"timestamp":1772341200},{"latitude":3,"longitude":4,"at":"2026-03-01T05:30:00Z"}]`: "1 2 05:00:00, 3 4 05:30:00",
	} {
		positions, err := readPositions(device.UpMessage{Payload: []byte(payload), ArrivedAt: arrived()})
		if err != nil {
			t.Errorf("%s: %v", payload, err)
		}
		words := make([]string, len(positions))
		for i, p := range positions {
			words[i] = fmt.Sprint(p.Latitude, " ", p.Longitude, " ", p.At.Format("15:04:05"))
		}
		if got := strings.Join(words, ", "); got != want {
			t.Errorf("%s is %q, want %q", payload, got, want)
		}
	}
	for payload, want := range map[string]string{
		`{}`: "needs latitude", `[]`: "must be 1 to", `{"latitude": 91, "longitude": 0}`: "latitude",
		`{"latitude": 1}`: "needs latitude", `{"lat":1,"lon":181}`: "longitude", `{"lat":1,"lon":1,"acc":-1}`: "accuracy",
		`{"lat":1,"lon":1,"tst":9999999999}`: "in the future", `7`: "must not be a number",
		`{"lat":1,"lon":1,"tst":300}`: "of the year 1970", `{"_type":"waypoint","lat":1,"lon":1,"tst":1772341200}`: "not a location",
		`{"_type":"transition","lat":1,"lon":1,"tst":1772341200,"wtst":1772341000,"event":"enter"}`: "is a \"transition\", not a location",
		`{"lat":0,"lon":-0.0}`:             "exactly 0, 0",
		`{"_type":"lwt","tst":1772341200}`: "is a \"lwt\", not a location",
	} {
		if got, err := readPositions(device.UpMessage{Payload: []byte(payload), ArrivedAt: arrived()}); err == nil || !blamesDevice(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v, %v; want %q", payload, got, err, want)
		}
	}
}

// Whatever a device sends is refused in words that can be kept, or is readings that can be.
func FuzzTelemetry(f *testing.F) {
	for _, seed := range []string{`{"t": 1}`, `[{"at": 5, "values": {"t": 1}}]`, `{"values": {}}`, `{"at":"2026-03-01T05:00:00Z","values":{"t":1}}`, "\xff{", `[[]]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		m := device.UpMessage{Payload: payload, ArrivedAt: arrived()}
		readings, err := readReadings(m)
		if err != nil {
			if !blamesDevice(err) {
				t.Errorf("refused as %v", err)
			}
			if _, err := json.Marshal(err.Error()); err != nil {
				t.Error(err)
			}
		}
		for _, r := range readings {
			if math.IsNaN(r.Value) || math.IsInf(r.Value, 0) || r.Key == "" || r.At.After(arrived().Add(time.Hour)) {
				t.Errorf("kept %+v", r)
			}
		}
		if _, err := readPositions(m); err != nil && !blamesDevice(err) {
			t.Errorf("refused as %v", err)
		}
	})
}
