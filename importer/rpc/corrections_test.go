package rpc_test

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sluicehq/sluice/importer"
	activityv1 "github.com/sluicehq/sluice/services/gen/activity/v1"
)

func mapFS(name, content string) fs.FS { return fstest.MapFS{name: {Data: []byte(content)}} }

func TestCorrectedRideReplacesTheStoredOne(t *testing.T) {
	t.Parallel()
	const header = "%spickup_time,dropoff_time,pickup_lat,pickup_lon,dropoff_lat,dropoff_lon,distance_km\n"
	const first = "2026-05-01 10:00,2026-05-01 10:10,48.1,11.5,48.2,11.5,12\n"
	for name, c := range map[string]struct {
		columns, values string
		corrected       string
	}{
		"distance, without an id":       {"", "", "2026-05-01 10:00,2026-05-01 10:10,48.1,11.5,48.2,11.5,11\n"},
		"end, without an id":            {"", "", "2026-05-01 10:00,2026-05-01 10:20,48.1,11.5,48.3,11.5,11\n"},
		"start place, without an id":    {"", "", "2026-05-01 10:00,2026-05-01 10:10,48.11,11.5,48.2,11.5,11\n"},
		"start time, with an id":        {"trip_id,", "7,", "2026-05-01 09:58,2026-05-01 10:10,48.1,11.5,48.2,11.5,11\n"},
		"everything, id and vehicle":    {"trip_id,vehicle,", "7,van,", "2026-05-01 09:58,2026-05-01 10:20,48.11,11.5,48.3,11.5,11\n"},
		"distance, with only a vehicle": {"vehicle,", "van,", "2026-05-01 10:00,2026-05-01 10:10,48.1,11.5,48.2,11.5,11\n"},
	} {
		h := build(t)
		options := importer.Options{Account: "bob"}
		rides := func(row string) importer.File { return text("rides.csv", fmt.Sprintf(header, c.columns)+c.values+row) }
		h.in(t, importer.KindTrips, rides(first), options)
		wantCounts(t, h.in(t, importer.KindTrips, rides(first), options).Counts, importer.Counts{Rows: 1, Repeated: 1})
		wantCounts(t, h.in(t, importer.KindTrips, rides(c.corrected), options).Counts, importer.Counts{Rows: 1, Updated: 1})
		for _, id := range h.vehicles(t) {
			trips := h.tripsOf(t, id)
			if len(trips) != 1 || trips[0].GetDistanceMetres() != 11_000 || trips[0].GetVersion() != 2 {
				t.Errorf("%s: %v", name, trips)
			}
		}
	}
}

func TestRidesWithOneStartAreTwoTrips(t *testing.T) {
	t.Parallel()
	h := build(t)
	const file = "pickup_time,dropoff_time,pickup_lat,pickup_lon,dropoff_lat,dropoff_lon\n" +
		"2026-05-01 10:00,2026-05-01 10:10,48.1,11.5,48.2,11.5\n" +
		"2026-05-01 10:00,2026-05-01 10:20,48.3,11.5,48.4,11.5\n" +
		"2026-05-01 10:00,2026-05-01 10:10,48.1,11.5,48.2,11.5\n" // the first again
	for _, want := range []importer.Counts{{Rows: 3, Stored: 2, Repeated: 1, Trips: 2, Devices: 1}, {Rows: 3, Repeated: 3}} {
		wantCounts(t, h.in(t, importer.KindTrips, text("rides.csv", file), importer.Options{Account: "bob"}).Counts, want)
	}
}

func TestCorrectedReadingReplacesTheStoredOne(t *testing.T) {
	t.Parallel()
	h := build(t)
	options := importer.Options{Device: "X"}
	const first = "time,value\n2026-05-01T06:00:00Z,20\n2026-05-01T06:01:00Z,2000\n2026-05-01T06:02:00Z,22\n2026-05-01T06:02:00Z,23\n"
	h.in(t, importer.KindTelemetry, text("r.csv", first), options)
	report := h.in(t, importer.KindTelemetry, text("r.csv", strings.Replace(first, "2000", "21", 1)), options)
	wantCounts(t, report.Counts, importer.Counts{Rows: 4, Updated: 1, Repeated: 3})
	if got := h.values(t, "X"); !slices.Equal(got, []string{"06:00 20", "06:01 21", "06:02 22", "06:02 23"}) {
		t.Errorf("%q", got)
	}
}

// Values at one time are no corrections of each other, also where a batch ends between them.
func TestValuesAtOneTimeStayOverBatches(t *testing.T) {
	t.Parallel()
	h := build(t)
	var file strings.Builder
	file.WriteString("time,value\n")
	const n = 4_899 // the values of the last time are the last of a batch and the first of the next
	for i := range n {
		fmt.Fprintf(&file, "2026-05-01T%02d:%02d:%02dZ,1\n", i/3600, i/60%60, i%60)
	}
	file.WriteString("2026-05-02T00:00:00Z,1\n2026-05-02T00:00:00Z,2\n2026-05-02T00:00:00Z,3\n")
	for _, want := range []importer.Counts{{Rows: n + 3, Stored: n + 3, Devices: 1}, {Rows: n + 3, Repeated: n + 3}} {
		wantCounts(t, h.in(t, importer.KindTelemetry, text("r.csv", file.String()), importer.Options{Device: "X"}).Counts, want)
	}
}

func TestTrackWithAnotherFirstPlaceIsNoSecondTrip(t *testing.T) {
	t.Parallel()
	h := build(t)
	const file = "time,lat,lon\n2026-05-01T06:00:00Z,%s,11.5\n2026-05-01T06:01:00Z,48.101,11.5\n2026-05-01T06:02:00Z,48.102,11.5\n"
	for _, latitude := range []string{"48.1001", "48.1"} {
		h.some(t, importer.KindTrips, text("t.csv", fmt.Sprintf(file, latitude)), importer.Options{Account: "bob", Device: "van"})
	}
	if trips := h.tripsOf(t, h.vehicles(t)["van"]); len(trips) != 1 {
		t.Errorf("%d trips", len(trips))
	}
}

func TestWaterLogWithoutADateStaysOnItsDay(t *testing.T) {
	t.Parallel()
	h := build(t)
	const file = `{"water":[{"amount":%d,"logId":1}]}`
	h.in(t, importer.KindHydration, text("w.json", fmt.Sprintf(file, 100)), importer.Options{Account: "bob", Date: "2026-05-01"})
	report := h.in(t, importer.KindHydration, text("w.json", fmt.Sprintf(file, 200)), importer.Options{Account: "bob"})
	wantCounts(t, report.Counts, importer.Counts{Rows: 1, Updated: 1})
	if got := report.Files[0].Assumptions; len(got) != 2 || !strings.HasPrefix(got[0], "logs without a date are of today") {
		t.Errorf("the report assumes %q", got)
	}
	got := h.activity(t, &activityv1.ActivityFilter{Kinds: []activityv1.Kind{activityv1.Kind_KIND_HYDRATION}})
	if got.GetStartedAt().AsTime().Format("2006-01-02") != "2026-05-01" || got.GetAmount() != 200 {
		t.Errorf("%v", got)
	}
}

func TestDayCorrectedToNoWaterIsRemoved(t *testing.T) {
	t.Parallel()
	h := build(t)
	const file = `{"foods-log-water":[{"dateTime":"2026-05-20","value":"%s"},{"dateTime":"2026-05-21","value":"100"}]}`
	options := importer.Options{Account: "bob"}
	h.in(t, importer.KindHydration, text("w.json", fmt.Sprintf(file, "500")), options)
	report := h.in(t, importer.KindHydration, text("w.json", fmt.Sprintf(file, "0")), options)
	wantCounts(t, report.Counts, importer.Counts{Rows: 2, Updated: 1, Repeated: 1})
	if got := h.waterTotal(t); got != 100 {
		t.Errorf("%d ml", got)
	}
	h.in(t, importer.KindHydration, text("none.json", `{"foods-log-water":[{"dateTime":"2026-05-22","value":"0"}]}`), options)
}
