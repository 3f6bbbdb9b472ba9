package rpc_test

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/importer"
	activityv1 "github.com/sluicehq/sluice/services/gen/activity/v1"
	devicev1 "github.com/sluicehq/sluice/services/gen/device/v1"
)

// testdata/cases has small files that gave a wrong result, made by hand after public reports.

func caseFile(t *testing.T, name string) importer.File {
	t.Helper()
	return importer.In(os.DirFS("testdata/cases"), name)
}

func (h fixture) waterTotal(t *testing.T) int64 {
	t.Helper()
	report, err := h.activities.ReportHydration(asSystem(t), &activityv1.ReportHydrationRequest{
		From: timestamppb.New(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)), To: timestamppb.New(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return report.GetTotalMl()
}

// some imports a file that may have bad rows.
func (h fixture) some(t *testing.T, kind importer.Kind, file importer.File, options importer.Options) importer.Report {
	t.Helper()
	report, err := importer.Import(t.Context(), h.Services, kind, []importer.File{file}, options)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// values returns "time value" of all readings of the device of the key.
func (h fixture) values(t *testing.T, device string) []string {
	t.Helper()
	list, err := h.devices.ListDevices(asSystem(t), &devicev1.ListDevicesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, d := range list.GetDevices() {
		if d.GetName() != device {
			continue
		}
		series, err := h.devices.BatchQueryTelemetry(asSystem(t), &devicev1.BatchQueryTelemetryRequest{
			DeviceIds: []string{d.GetId()}, Keys: []string{"value"}, From: timestamppb.New(time.Unix(0, 0)), To: timestamppb.Now(),
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range series.GetSeries() {
			for _, p := range s.GetPoints() {
				all = append(all, fmt.Sprintf("%s %g", p.GetAt().AsTime().Format("15:04"), p.GetValue()))
			}
		}
	}
	return all
}

func TestCaseTripsAreMeasuredRight(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file   string
		device string
		metres []float64 // of the trips, ascending
	}{
		{"first-fix-null-island.csv", "X", []float64{1056}},
		{"two-devices.csv", "X", []float64{200, 200}},
		{"depot-van-1.csv depot-van-2.csv", "", []float64{445, 445}},
	} {
		t.Run(c.file, func(t *testing.T) {
			t.Parallel()
			h := build(t)
			for _, name := range strings.Fields(c.file) {
				h.some(t, importer.KindTrips, caseFile(t, name), importer.Options{Account: "bob", Device: c.device})
			}
			var got []float64
			for _, id := range h.vehicles(t) {
				for _, trip := range h.tripsOf(t, id) {
					got = append(got, math.Round(trip.GetDistanceMetres()))
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, c.metres) {
				t.Errorf("trips of %v m, want %v", got, c.metres)
			}
		})
	}
}

func TestCaseRejectedFixesAreReported(t *testing.T) {
	t.Parallel()
	h := build(t)
	report := h.some(t, importer.KindTrips, caseFile(t, "first-fix-null-island.csv"), importer.Options{Account: "bob"})
	if got := report.Files[0].Rejected; got["NO_POSITION"] != 1 || report.Stored != 20 || report.Bad != 1 {
		t.Errorf("the report rejects %v", got)
	}
	report = h.some(t, importer.KindTrips, caseFile(t, "fast-train.csv"), importer.Options{Account: "bob"})
	if got := report.Files[0].Rejected; got["TOO_FAST"] == 0 {
		t.Errorf("the report rejects %v of a train beyond the limit of the kind", got)
	}
}

func TestCaseReadingsOfTheRepeatedHour(t *testing.T) {
	t.Parallel()
	for file, want := range map[string][]string{
		"dst-fall-back.csv":      {"23:30 1", "00:00 2", "00:30 3", "01:00 4", "01:30 5", "02:00 6"},
		"dst-equal-readings.csv": {"00:30 20.5", "01:30 20.5"},
	} {
		h := build(t)
		h.in(t, importer.KindTelemetry, caseFile(t, file), importer.Options{Device: "X", TimeZone: "Europe/Berlin"})
		if got := h.values(t, "X"); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", file, got, want)
		}
	}
}

func TestCaseWaterOfADay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files   []string
		updated int64 // by the last file
		want    int64
	}{
		"morning, then evening": {[]string{"fitbit-morning.json", "fitbit-evening.json"}, 1, 1300},
		"logs, then their sum":  {[]string{"fitbit-day.json", "fitbit-series-same-day.json"}, 0, 700},
		"sum, then its logs":    {[]string{"fitbit-series-same-day.json", "fitbit-day.json"}, 0, 700},
		"twice":                 {[]string{"fitbit-day.json", "fitbit-series-same-day.json", "fitbit-day.json", "fitbit-series-same-day.json"}, 0, 700},
	} {
		h := build(t)
		var last importer.Report
		for _, file := range c.files {
			last = h.in(t, importer.KindHydration, caseFile(t, file), importer.Options{Account: "bob", Date: "2026-11-21"})
		}
		if got := h.waterTotal(t); got != c.want || last.Updated != c.updated {
			t.Errorf("%s: %d ml, want %d; the last report %+v", name, got, c.want, last.Counts)
		}
	}
}

func TestCaseScheduleAfterTheNight(t *testing.T) {
	t.Parallel()
	h := build(t)
	options := importer.Options{Telescope: "N1"}
	h.in(t, importer.KindObservations, caseFile(t, "night-before.sls"), options)
	report := h.in(t, importer.KindObservations, caseFile(t, "night-after.sls"), options)
	wantCounts(t, report.Counts, importer.Counts{Rows: 1, Updated: 1})
	filter := &activityv1.ActivityFilter{Telescope: "N1"}
	if got := h.activity(t, filter); got.GetObservation().GetStatus() != "DONE" || got.GetVersion() != 2 {
		t.Errorf("%v", got)
	}
	text, err := os.ReadFile("testdata/cases/night-after.sls")
	if err != nil {
		t.Fatal(err)
	}
	// The schedule is corrected: the request moved by two hours, with another exposure and other coordinates.
	moved := strings.NewReplacer("2461170.50000 (2026/5/10 00:00:00", "2461170.58333 (2026/5/10 02:00:00", "secs: 60", "secs: 90", "05:34:32", "05:34:33").Replace(string(text))
	report = h.in(t, importer.KindObservations, importer.In(mapFS("moved.sls", moved), "moved.sls"), options)
	wantCounts(t, report.Counts, importer.Counts{Rows: 1, Updated: 1})
	if got := h.activity(t, filter); got.GetStartedAt().AsTime().Hour() != 2 || got.GetVersion() != 3 {
		t.Errorf("%v", got)
	}
}

func TestCaseVisitsAreFixesWhenTheCallerSaysSo(t *testing.T) {
	t.Parallel()
	h := build(t)
	report := h.in(t, importer.KindTrips, caseFile(t, "visits.csv"), importer.Options{Account: "bob", Columns: map[string]string{"time": "start_time"}})
	wantCounts(t, report.Counts, importer.Counts{Rows: 2, Stored: 2, Trips: 1, Devices: 1})
}

func TestCaseValuesOverSeveralLines(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.in(t, importer.KindTelemetry, caseFile(t, "pretty.json"), importer.Options{Device: "X"})
	if got := h.values(t, "X"); !slices.Equal(got, []string{"06:00 3", "06:01 4"}) {
		t.Errorf("%q", got)
	}
}
