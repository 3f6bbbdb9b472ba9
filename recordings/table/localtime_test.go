package table

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/recordings"
	"github.com/sluicehq/sluice/recordings/internal/readtest"
)

// The files of these tests are made by hand, after public reports of misread recordings.

func berlin(t *testing.T) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func TestReadingsOverFallBackAreInOrder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, file, want string }{
		{"the hour twice", "time,value\n2026-10-25 01:30,1\n2026-10-25 02:00,2\n2026-10-25 02:30,3\n2026-10-25 02:00,4\n2026-10-25 02:30,5\n2026-10-25 03:00,6\n",
			"23:30 00:00 00:30 01:00 01:30 02:00"},
		{"one time twice", "time,value\n2026-10-25 02:30,20.5\n2026-10-25 02:30,20.5\n", "00:30 01:30"},
		{"two devices", "time,value,device_id\n2026-10-25 02:10,1,a\n2026-10-25 02:50,1,b\n2026-10-25 02:40,1,a\n2026-10-25 02:10,1,a\n2026-10-25 02:20,1,b\n2026-10-25 03:10,1,a\n2026-10-25 03:20,1,b\n",
			"00:10 00:50 00:40 01:10 01:20 02:10 02:20"},
		{"with a bad row between", "time,value\n2026-10-25 02:30,1\nsoon,2\n2026-10-25 02:00,3\n", "00:30 01:00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			good, _, fatal := readtest.All(t, Readings(strings.NewReader(c.file), recordings.Options{Location: berlin(t)}))
			var got []string
			keys := map[string]bool{}
			for _, r := range good {
				got = append(got, r.At.Format("15:04"))
				keys[r.Key] = true
			}
			if fatal != nil || strings.Join(got, " ") != c.want || len(keys) != len(good) {
				t.Errorf("at %v with %d keys, %v; want %s", got, len(keys), fatal, c.want)
			}
		})
	}
}

func TestLocalTimesThatNoOrderDecidesAreFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, file, want string }{
		{"once", "time,value\n2026-10-25 01:30,1\n2026-10-25 02:30,2\n2026-10-25 03:30,3\n", "ambiguous local time"},
		{"out of order", "time,value\n2026-10-25 02:30,1\n2026-10-25 02:10,2\n2026-10-25 02:40,3\n2026-10-25 02:20,3\n", "ambiguous local time"},
		{"skipped", "time,value\n2026-03-29 01:30,1\n2026-03-29 02:30,2\n", "does not exist: the clocks of Europe/Berlin skipped it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, faults, fatal := readtest.All(t, Readings(strings.NewReader(c.file), recordings.Options{Location: berlin(t)}))
			if fatal != nil || len(faults) == 0 || !strings.Contains(faults[0].Reason, c.want) {
				t.Errorf("%v, %v; want %s", faults, fatal, c.want)
			}
		})
	}
}

func TestTrackOverFallBackIsInOrder(t *testing.T) {
	t.Parallel()
	file := "time,lat,lon\n2026-10-25 02:50,48.1,11.5\n2026-10-25 02:10,48.2,11.5\n"
	fixes := readtest.MustRead(t, Fixes(strings.NewReader(file), recordings.Options{Location: berlin(t)}))
	if took := fixes[1].At.Sub(fixes[0].At); took != 20*time.Minute {
		t.Errorf("it took %v", took)
	}
}

func TestRidesOverFallBackHaveTheirLength(t *testing.T) {
	t.Parallel()
	const head = "pickup_time,dropoff_time,pickup_lat,pickup_lon,dropoff_lat,dropoff_lon\n"
	file := head + "2026-10-25 02:50,2026-10-25 02:10,48.1,11.5,48.2,11.5\n" +
		"2026-10-25 01:50,2026-10-25 03:10,48.1,11.5,48.2,11.5\n" +
		"2026-10-25 01:50,2026-10-25 02:10,48.1,11.5,48.2,11.5\n"
	rides, faults, fatal := readtest.All(t, Rides(strings.NewReader(file), recordings.Options{Location: berlin(t)}))
	if fatal != nil || len(rides) != 2 || rides[0].End.Sub(rides[0].Start) != 20*time.Minute || rides[1].End.Sub(rides[1].Start) != 140*time.Minute {
		t.Errorf("%+v, %v", rides, fatal)
	}
	readtest.RequireFaults(t, faults, recordings.Fault{Line: 4, Reason: "end \"2026-10-25 02:10\" is an ambiguous local time"})
}

func TestTooManyAmbiguousRowsAreFaults(t *testing.T) {
	t.Parallel()
	rows := readtest.Stream("time,value\n", maxAmbiguous+10, func(int) string { return "2026-10-25 02:30:00,1\n" }, "")
	_, faults, fatal := readtest.All(t, Readings(rows, recordings.Options{Location: berlin(t)}))
	if fatal != nil || len(faults) < maxAmbiguous {
		t.Errorf("%d faults, %v", len(faults), fatal)
	}
	if !slices.ContainsFunc(faults, func(f recordings.Fault) bool { return strings.Contains(f.Reason, "ambiguous local time") }) {
		t.Error("no fault is about an ambiguous local time")
	}
}
