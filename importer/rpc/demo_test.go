package rpc_test

import (
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/importer"
	activityv1 "github.com/sluicehq/sluice/services/gen/activity/v1"
	devicev1 "github.com/sluicehq/sluice/services/gen/device/v1"
	tripv1 "github.com/sluicehq/sluice/services/gen/trip/v1"
	typesv1 "github.com/sluicehq/sluice/services/gen/types/v1"
)

const metresPerMile = 1609.344

func TestDemoImportMatchesSources(t *testing.T) {
	t.Parallel()
	h := build(t)
	started := time.Now()
	report, err := importer.Demo(t.Context(), h.Services, slog.New(slog.DiscardHandler))
	t.Logf("loaded in %v", time.Since(started))
	if err != nil || report.Bad > 0 {
		t.Fatalf("%v, faults %v", err, report.Faults)
	}
	rows := int64(80 + 104 + 682 + 1533 + 22695 + 301 + 5)
	wantCounts(t, report.Counts, importer.Counts{Rows: rows, Stored: rows, Trips: 1 + 1 + 682 + 16, Devices: 1 + 1 + 1 + 8 + 1})
	h.wantDemo(t)

	again, err := importer.Demo(t.Context(), h.Services, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	wantCounts(t, again.Counts, importer.Counts{Rows: rows, Repeated: rows})
	h.wantDemo(t)
}

func (h fixture) wantDemo(t *testing.T) {
	t.Helper()
	cars := h.vehicles(t)
	taxi := h.tripsOf(t, cars["NYC taxi"])
	if miles := sum(taxi, (*tripv1.Trip).GetDistanceMetres) / metresPerMile; len(taxi) != 682 || math.Abs(miles-1851.4) > 0.05 {
		t.Errorf("the taxi has %d trips over %.2f miles", len(taxi), miles)
	}
	for name, want := range map[string]float64{"Munich car": 13371, "Višnjan car": 2733} {
		trips := h.tripsOf(t, cars[name])
		if len(trips) != 1 || math.Round(trips[0].GetDistanceMetres()) != want {
			t.Errorf("%s: %v, want one trip of %g m", name, trips, want)
		}
	}
	h.wantWhose(t, cars)
	h.wantBuses(t, cars)
	h.wantReadings(t)
	h.wantActivities(t)
}

func (h fixture) wantWhose(t *testing.T, cars map[string]string) {
	t.Helper()
	for car, code := range map[string]string{"Munich car": "bob", "Višnjan car": "bob", "NYC taxi": "alice", "Bus 4716": "operator"} {
		if trips, want := h.tripsOf(t, cars[car]), h.account(t, code); len(trips) == 0 || trips[0].GetAccountId() != want {
			t.Errorf("%s: %d trips, want those of %s", car, len(trips), code)
		}
	}
	// 15:11:48 in New York is five hours earlier than in Greenwich.
	taxi := h.tripsOf(t, cars["NYC taxi"])
	at := time.Date(2013, 1, 1, 20, 11, 48, 0, time.UTC)
	if !slices.ContainsFunc(taxi, func(t *tripv1.Trip) bool { return t.GetStart().GetAt().AsTime().Equal(at) }) {
		t.Errorf("no taxi trip starts at %v", at)
	}
}

func (h fixture) wantBuses(t *testing.T, cars map[string]string) {
	t.Helper()
	buses, trips, fixes := 0, 0, 0
	for name, id := range cars {
		if !strings.HasPrefix(name, "Bus ") {
			continue
		}
		buses++
		of := h.tripsOf(t, id)
		trips += len(of)
		for _, trip := range of {
			reply, err := h.trips.BatchGetTracks(asSystem(t), &tripv1.BatchGetTracksRequest{TripIds: []string{trip.GetId()}, MaxPoints: 10_000})
			if err != nil {
				t.Fatal(err)
			}
			fixes += len(reply.GetTracks()[0].GetPositions())
		}
	}
	if buses != 8 || trips != 16 || fixes != 1533 {
		t.Errorf("%d buses made %d trips of %d fixes", buses, trips, fixes)
	}
}

func (h fixture) wantReadings(t *testing.T) {
	t.Helper()
	sensors := h.list(t, devicev1.Kind_KIND_SENSOR)
	reply, err := h.devices.BatchQueryTelemetry(asSystem(t), &devicev1.BatchQueryTelemetryRequest{
		DeviceIds: []string{sensors["Machine temperature"]}, Keys: []string{"temperature"},
		From: timestamppb.New(time.Date(2013, 1, 1, 0, 0, 0, 0, time.UTC)), To: timestamppb.New(time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC)),
	})
	if err != nil || len(reply.GetSeries()) != 1 {
		t.Fatalf("%v, %v", reply, err)
	}
	hot, cold, all := 0, 0, reply.GetSeries()[0].GetPoints()
	for _, p := range all {
		if p.GetValue() >= 100 {
			hot++
		}
		if p.GetValue() < 40 {
			cold++
		}
	}
	if len(all) != 22695 || hot != 1586 || cold != 399 {
		t.Errorf("%d readings, %d at or above 100, %d below 40", len(all), hot, cold)
	}
}

func (h fixture) wantActivities(t *testing.T) {
	t.Helper()
	observed := &activityv1.ActivityFilter{Kinds: []activityv1.Kind{activityv1.Kind_KIND_OBSERVATION}}
	if all := h.count(t, observed); all != 301 {
		t.Errorf("%d observations", all)
	}
	observed.Status = "DONE"
	if done := h.count(t, observed); done != 291 {
		t.Errorf("%d of them done", done)
	}
	today := time.Now().UTC()
	reply, err := h.activities.ReportHydration(asSystem(t), &activityv1.ReportHydrationRequest{
		From: timestamppb.New(today.AddDate(0, 0, -2)), To: timestamppb.New(today.AddDate(0, 0, 2)),
		TimeZone: "UTC", AccountId: h.account(t, "alice"),
	})
	if err != nil || reply.GetTotalMl() != 1300 || len(reply.GetEntries()) != 5 || len(reply.GetDays()) != 1 {
		t.Errorf("hydration %v, %v", reply, err)
	}
}

func (h fixture) count(t *testing.T, filter *activityv1.ActivityFilter) int64 {
	t.Helper()
	reply, err := h.activities.ListActivities(asSystem(t), &activityv1.ListActivitiesRequest{
		Filter: filter, Page: &typesv1.PageRequest{First: 1, WithTotal: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	return reply.GetPage().GetTotal()
}

func (h fixture) vehicles(t *testing.T) map[string]string {
	t.Helper()
	return h.list(t, devicev1.Kind_KIND_VEHICLE)
}

// list is the ids of the devices of a kind by their names.
func (h fixture) list(t *testing.T, kind devicev1.Kind) map[string]string {
	t.Helper()
	reply, err := h.devices.ListDevices(asSystem(t), &devicev1.ListDevicesRequest{
		Filter: &devicev1.DeviceFilter{Kinds: []devicev1.Kind{kind}}, Page: &typesv1.PageRequest{First: 1000},
	})
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]string{}
	for _, d := range reply.GetDevices() {
		byName[d.GetName()] = d.GetId()
	}
	return byName
}

func (h fixture) tripsOf(t *testing.T, vehicleID string) []*tripv1.Trip {
	t.Helper()
	reply, err := h.trips.ListTrips(asSystem(t), &tripv1.ListTripsRequest{
		Filter: &tripv1.TripFilter{VehicleIds: []string{vehicleID}}, Page: &typesv1.PageRequest{First: 1000},
	})
	if err != nil {
		t.Fatal(err)
	}
	return reply.GetTrips()
}

func sum[T any](all []T, of func(T) float64) float64 {
	total := 0.0
	for _, one := range all {
		total += of(one)
	}
	return total
}
