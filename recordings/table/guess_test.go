package table

import (
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/recordings"
	"github.com/sluicehq/sluice/recordings/internal/readtest"
)

// The files of these tests are made by hand, after public reports of misread recordings.

func TestFixesOfTwoDevicesAreTwoTrips(t *testing.T) {
	t.Parallel()
	const file = "device_id,timestamp,lat,lon\nvan-1,2026-05-02T06:00:00Z,48.1000,11.6\nvan-2,2026-05-02T06:01:00Z,48.1101,11.6\nvan-1,2026-05-02T06:02:00Z,48.1002,11.6\n"
	trips := map[string]int{}
	for _, f := range readtest.MustRead(t, Fixes(strings.NewReader(file), recordings.Options{})) {
		trips[f.Trip+" "+f.Vehicle]++
	}
	if len(trips) != 2 || trips["van-1 van-1"] != 2 || trips["van-2 van-2"] != 1 {
		t.Errorf("the trips are %v", trips)
	}
}

func TestColumnOfFixesOverridesHeadersOfRides(t *testing.T) {
	t.Parallel()
	const file = "lat,lon,start_time,end_time\n48.1,11.5,2026-05-01T06:00:00Z,2026-05-01T06:05:00Z\n"
	trips, err := Trips(strings.NewReader(file), recordings.Options{Columns: map[string]string{"time": "start_time"}})
	if err != nil || trips.Fixes == nil {
		t.Fatalf("%+v, %v", trips, err)
	}
	if fixes := readtest.MustRead(t, trips.Fixes); len(fixes) != 1 || fixes[0].At.Hour() != 6 {
		t.Errorf("%+v", fixes)
	}
}

func TestJSONStreamIsReadOnAnyNumberOfLines(t *testing.T) {
	t.Parallel()
	const first, second = "2026-05-01T06:00:00Z", "2026-05-01T06:01:00Z"
	for name, file := range map[string]string{
		"pretty":        "{\n  \"time\": \"" + first + "\",\n  \"value\": 3\n}\n{\n  \"time\": \"" + second + "\",\n  \"value\": 4\n}\n",
		"lines":         `{"time": "` + first + `", "value": 3}` + "\n\n" + `{"time": "` + second + `", "value": 4}`,
		"one line":      `{"time": "` + first + `", "value": 3}{"time": "` + second + `", "value": 4}`,
		"with a string": "{\"time\": \"" + first + "\", \"note\": \"} { \\\"\", \"value\": 3}\n{\"time\": \"" + second + "\", \"value\":\n4}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			readings := readtest.MustRead(t, Readings(strings.NewReader(file), recordings.Options{}))
			if len(readings) != 2 || readings[0].Value != 3 || readings[1].Value != 4 {
				t.Errorf("%+v", readings)
			}
		})
	}
	t.Run("with a truncated object", func(t *testing.T) {
		t.Parallel()
		file := `{"time": "` + first + `", "value": 3}` + "\n" + `{"time": "2026-05-01` + "\n" + `{"value": [` + "\n" + `{"time": "` + second + `", "value": 4}`
		good, faults, fatal := readtest.All(t, Readings(strings.NewReader(file), recordings.Options{}))
		if len(good) != 2 || good[1].Line != 4 || fatal != nil {
			t.Errorf("%+v, %v", good, fatal)
		}
		readtest.RequireFaults(t, faults, recordings.Fault{Line: 2, Reason: "not JSON"}, recordings.Fault{Line: 3, Reason: "not JSON"})
	})
}

func TestValuesThatCouldOnlyBeGuessedAreRefused(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct{ name, file, want string }{
		{"a point in a file with decimal commas", "time;value\n2026-05-01T06:00:00Z;0,5\n2026-05-01T06:01:00Z;1.234\n", "ambiguous in a file with decimal commas"},
		{"the clock of 1901", "time,value\n1901-12-13T20:45:52Z,1\n", "was the clock of the recorder set"},
		{"the clock of 1970", "time,value\n1970-01-01T00:00:10Z,1\n", "was the clock of the recorder set"},
		{"the clock of GPS", "time,value\n1980-01-06T00:00:10Z,1\n", "start of GPS time"},
		{"the future", "time,value\n2099-01-01T00:00:00Z,1\n", "in the future"},
		{"an offset of a day", "time,value\n2026-05-01T06:00:00+24:00,1\n", "an offset of more than 14 hours"},
		{"day or month", "time,value\n02/01/2026 06:00,1\n", "day or month first"},
		{"an offset west of the date line", "time,value\n2026-05-01T06:00:00-13:00,1\n", "or less than -12"},
		{"thousands and a decimal comma", "time;value\n2026-05-01T06:00:00Z;0,5\n2026-05-01T06:01:00Z;1.234,5\n", "is not a number"},
		{"a comma that appears later", "time;value\n2026-05-01T06:00:00Z;0.5\n2026-05-01T06:01:00Z;0,5\n2026-05-01T06:02:00Z;1.234\n", "ambiguous in a file with decimal commas"},
		{"a second value with a number", "time,value,value2\n2026-05-01T06:00:00Z,1,2\n", "several values, \"value\", \"value2\""},
		{"a second value with a place", "time,temperature_in,temperature\n2026-05-01T06:00:00Z,1,2\n", "several values"},
		{"a header in two spellings", "time,Value,value\n2026-05-01T06:00:00Z,1,2\n", "appears twice"},
		{"a member twice", `{"time":"2026-05-01T06:00:00Z","value":1,"value":2}`, "appears twice"},
		{"two values", "time,temperature,humidity\n2026-05-01T06:00:00Z,1,2\n", "several values, \"temperature\", \"humidity\""},
		{"a doubled header", "time,value,value\n2026-05-01T06:00:00Z,1,2\n", "the header \"value\" appears twice"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, faults, fatal := readtest.All(t, Readings(strings.NewReader(c.file), recordings.Options{Now: now}))
			if len(faults) == 1 {
				fatal = faults[0]
			}
			readtest.RequireError(t, fatal, c.want)
		})
	}
}

func TestPointsInFileWithoutDecimalCommasAreDecimal(t *testing.T) {
	t.Parallel()
	const file = "time;value\n2026-05-01T06:00:00Z;1.234\n"
	if got := readtest.MustRead(t, Readings(strings.NewReader(file), recordings.Options{})); got[0].Value != 1.234 {
		t.Errorf("%+v", got)
	}
}

func TestDateOrderDecidesDayOrMonth(t *testing.T) {
	t.Parallel()
	const file = "time,value\n02/01/2026 06:00,1\n"
	for order, want := range map[recordings.DateOrder]string{recordings.DayMonthYear: "2026-01-02", recordings.MonthDayYear: "2026-02-01"} {
		got := readtest.MustRead(t, Readings(strings.NewReader(file), recordings.Options{DateOrder: order}))
		if day := got[0].At.Format(time.DateOnly); day != want {
			t.Errorf("%s: %s, want %s", order, day, want)
		}
	}
}

func TestTripDistanceWithoutMeterIsRefused(t *testing.T) {
	t.Parallel()
	const rest = ",pickup_lat,pickup_lon,dropoff_lat,dropoff_lon,trip_distance\n2026-05-01T06:00:00Z,2026-05-01T06:10:00Z,48.1,11.5,48.2,11.5,2\n"
	_, _, fatal := readtest.All(t, Rides(strings.NewReader("pickup_time,dropoff_time"+rest), recordings.Options{}))
	readtest.RequireError(t, fatal, "trip_distance does not say its unit", "--column distance_km=trip_distance")
	var assumed []string
	rides := readtest.MustRead(t, Rides(strings.NewReader("tpep_pickup_datetime,tpep_dropoff_datetime"+rest), recordings.Options{
		Assume: func(text string) { assumed = append(assumed, text) },
	}))
	if got := *rides[0].MeteredMetres; got < 3218 || got > 3219 {
		t.Errorf("%g m", got)
	}
	_ = assumed
}

func TestInventoryWithNamesOnlyUsesThemAsKeys(t *testing.T) {
	t.Parallel()
	const file = "name,kind,label.site\nPress 4,SENSOR,north\n"
	got := readtest.MustRead(t, Devices(strings.NewReader(file), recordings.Options{}))
	if got[0].Key != "Press 4" || got[0].Name != "Press 4" || got[0].Labels["site"] != "north" {
		t.Errorf("%+v", got)
	}
}

func TestColumnsThatAreNotReadAreReported(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, file, want string }{
		{"another value", "time,temperature,co2,unit\n2026-05-01T06:00:00Z,1,2,C\n", `columns that are not read: "co2", "unit"`},
		{"the unit of a value", "time,value,value_unit\n2026-05-01T06:00:00Z,1,C\n", `columns that are not read: "value_unit"`},
		{"two times", "time,recorded_at,value\n2026-05-01T06:00:00Z,2026-05-02T06:00:00Z,1\n", `the time is in the column "time", and "recorded_at" is not read: --column time=HEADER names another one`},
		{"decimal points", "time;value\n2026-05-01T06:00:00Z;1.234\n", "numbers have a decimal point"},
		{"decimal commas that come later", "time;value\n2026-05-01T06:00:00Z;0.5\n" + strings.Repeat("2026-05-01T06:00:00Z;0.5\n", 2000) + "2026-05-01T06:01:00Z;0,5\n", "from line 2003 on, numbers have a decimal comma"},
	} {
		var got []string
		options := recordings.Options{Assume: func(assumption string) { got = append(got, assumption) }}
		readtest.MustRead(t, Readings(strings.NewReader(c.file), options))
		if len(got) != 1 || got[0] != c.want {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

func TestChosenValueIsReadFromSeveral(t *testing.T) {
	t.Parallel()
	const file = "time,Value,value,value2\n2026-05-01T06:00:00Z,1,2,3\n"
	for header, want := range map[string]float64{"Value": 1, "value": 2, "value2": 3} {
		options := recordings.Options{Columns: map[string]string{"value": header}}
		if got := readtest.MustRead(t, Readings(strings.NewReader(file), options)); len(got) != 1 || got[0].Value != want {
			t.Errorf("%s: %+v", header, got)
		}
	}
}

func TestDatesInTheOrderOfTheCaller(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ order, text, want string }{
		{"DMY", "02/01/2026 10:00", "2026-01-02T10:00:00Z"},
		{"DMY", "2.1.2026 10:00:30", "2026-01-02T10:00:30Z"},
		{"DMY", "02-01-26 10:00", "2026-01-02T10:00:00Z"},
		{"DMY", "02-01-99 10:00", "1999-01-02T10:00:00Z"},
		{"MDY", "1/2/2026 9:05 PM", "2026-01-02T21:05:00Z"},
		{"MDY", "1/2/2026 12:00:01 am", "2026-01-02T00:00:01Z"},
		{"MDY", "1/2/2026", "2026-01-02T00:00:00Z"},
		{"", "2026/01/02 10:00", "2026-01-02T10:00:00Z"},
		{"", "2026.01.02 10:00", "2026-01-02T10:00:00Z"},
		{"DMY", "2026-01-02 10:00", "2026-01-02T10:00:00Z"},
	} {
		options := recordings.Options{DateOrder: recordings.DateOrder(c.order)}
		got := readtest.MustRead(t, Readings(strings.NewReader("time,value\n"+c.text+",1\n"), options))
		if len(got) != 1 || got[0].At.Format(time.RFC3339) != c.want {
			t.Errorf("%s %q: %+v", c.order, c.text, got)
		}
	}
}
