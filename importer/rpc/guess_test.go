package rpc_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/importer"
	activityv1 "github.com/sluicehq/sluice/services/gen/activity/v1"
)

// The files of these tests are made by hand, after public reports of misread recordings.

func TestTracksOfTwoVehiclesWithOneStartAreTwoTrips(t *testing.T) {
	t.Parallel()
	h := build(t)
	const start = "time,lat,lon\n2026-05-03 06:00,48.100,11.6\n"
	for device, rest := range map[string]string{"Van 1": "2026-05-03 06:01,48.101,11.6\n", "Van 2": "2026-05-03 06:01,48.099,11.6\n"} {
		report := h.in(t, importer.KindTrips, text(device+".csv", start+rest), importer.Options{Account: "bob", Device: device})
		wantCounts(t, report.Counts, importer.Counts{Rows: 2, Stored: 2, Trips: 1, Devices: 1})
	}
}

func TestDayWithoutWaterIsNothing(t *testing.T) {
	t.Parallel()
	h := build(t)
	const file = `{"foods-log-water":[{"dateTime":"2026-05-19","value":"0.0"},{"dateTime":"2026-05-20","value":"500.0"}]}`
	report := h.in(t, importer.KindHydration, text("w.json", file), importer.Options{Account: "bob"})
	wantCounts(t, report.Counts, importer.Counts{Rows: 1, Stored: 1})
	if got := report.Files[0].Assumptions; len(got) != 1 || got[0] != "amounts of water are in ml" {
		t.Errorf("the report assumes %q", got)
	}
}

func TestWaterInOuncesIsStoredInMillilitres(t *testing.T) {
	t.Parallel()
	h := build(t)
	const file = `{"summary":{"water":16},"water":[{"amount":16,"logId":1}]}`
	h.in(t, importer.KindHydration, text("w.json", file), importer.Options{Account: "bob", WaterUnit: "floz"})
	got := h.activity(t, &activityv1.ActivityFilter{Kinds: []activityv1.Kind{activityv1.Kind_KIND_HYDRATION}})
	if ml := got.GetAmount(); ml < 473 || ml > 474 {
		t.Errorf("%g ml", ml)
	}
}

func TestTrackAtAssumedSpeedIsReported(t *testing.T) {
	t.Parallel()
	h := build(t)
	const file = `<gpx><trk><trkseg><trkpt lat="48.1" lon="11.5"/><trkpt lat="48.101" lon="11.5"/></trkseg></trk></gpx>`
	options := importer.Options{Account: "bob", Start: time.Date(2026, 5, 1, 6, 0, 0, 0, time.UTC)}
	report := h.in(t, importer.KindTrips, text("t.gpx", file), options)
	if got := report.Files[0].Assumptions; len(got) != 1 || !strings.Contains(got[0], "assumed speed of 10 m/s") {
		t.Errorf("the report assumes %q", got)
	}
}

func TestMeasurementsInTheFutureAreFaults(t *testing.T) {
	t.Parallel()
	h := build(t)
	for kind, file := range map[importer.Kind]string{
		importer.KindTelemetry: "time,value\n2099-01-01T00:00:00Z,1\n",
		importer.KindHydration: `{"foods-log-water":[{"dateTime":"2099-01-01","value":"500"}]}`,
		importer.KindTrips:     `<gpx><trk><trkseg><trkpt lat="48.1" lon="11.5"><time>2099-01-01T00:00:00Z</time></trkpt></trkseg></trk></gpx>`,
	} {
		report, err := importer.Import(t.Context(), h.Services, kind, []importer.File{text("future", file)}, importer.Options{Account: "bob"})
		if err == nil || report.Bad != 1 || !strings.Contains(report.Faults[0].Reason, "in the future") {
			t.Errorf("%s: %+v, %v", kind, report, err)
		}
	}
}
