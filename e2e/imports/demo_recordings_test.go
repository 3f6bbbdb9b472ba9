package imports

import (
	"fmt"
	"math"
	"testing"

	"github.com/sluicehq/sluice/e2e/harness"
)

// The figures of testdata/SOURCES.md, as they come out of the API.

const metresPerMile = 1609.344

func TestDemoTaxiTripsMatchSources(t *testing.T) {
	t.Parallel()
	p := harness.Demo(t)
	alice := p.SignIn(t, "alice")
	trips := harness.TripsOf(t, p, alice, 97, harness.DeviceByName(t, p, alice, "NYC taxi"))
	seen := map[string]bool{}
	var metres float64
	for _, trip := range trips {
		seen[trip.ID] = true
		metres += trip.Distance
		if trip.DistanceSource != "METER" || trip.Status != "FINISHED" {
			t.Errorf("the trip is %+v", trip)
		}
	}
	if len(trips) != 682 || len(seen) != 682 {
		t.Errorf("there are %d trips, %d of them different, want 682", len(trips), len(seen))
	}
	if miles := math.Round(metres/metresPerMile*10) / 10; miles != 1851.4 {
		t.Errorf("they went %v miles, want 1851.4", miles)
	}
}

func TestDemoTracksMatchSourcesToTheMetre(t *testing.T) {
	t.Parallel()
	p := harness.Demo(t)
	bob := p.SignIn(t, "bob")
	for _, drive := range []struct {
		vehicle string
		metres  float64
		fixes   int
	}{
		{"Munich car", 13371, 80},
		{"Višnjan car", 2733, 104},
	} {
		t.Run(drive.vehicle, func(t *testing.T) {
			const query = `query($vehicles: [ID!]) { trips(filter: {vehicleIds: $vehicles}) { nodes { id distance distanceSource track(maxPoints: 500) { counted } } } }`
			trips := harness.Query[harness.TripPage](t, p, bob, query, harness.Vars{"vehicles": []string{harness.DeviceByName(t, p, bob, drive.vehicle)}}).Trips.Nodes
			if len(trips) != 1 {
				t.Fatalf("there are %d trips", len(trips))
			}
			if got := math.Round(trips[0].Distance); got != drive.metres || trips[0].DistanceSource != "TRACK" {
				t.Errorf("it went %v m by %s, want %v m by TRACK", got, trips[0].DistanceSource, drive.metres)
			}
			if got := len(trips[0].Track); got != drive.fixes {
				t.Errorf("the track has %d fixes, want %d", got, drive.fixes)
			}
		})
	}
}

func TestDemoBusTripsMatchSources(t *testing.T) {
	t.Parallel()
	p := harness.Demo(t)
	operator := p.SignIn(t, "operator")
	buses := harness.Query[struct{ Devices harness.Count }](t, p, operator, `{ devices(filter: {nameContains: "bus "}) { totalCount nodes { id } } }`, nil).Devices
	vehicles := make([]string, len(buses.Nodes))
	for i, bus := range buses.Nodes {
		vehicles[i] = bus.ID
	}
	if len(vehicles) != 8 || buses.TotalCount != 8 {
		t.Errorf("there are %d buses, want 8", len(vehicles))
	}
	trips := harness.TripsOf(t, p, operator, 5, vehicles...)
	driven := map[string]bool{}
	for _, trip := range trips {
		driven[trip.Vehicle.ID] = true
	}
	if len(trips) != 16 || len(driven) != 8 {
		t.Errorf("there are %d trips of %d vehicles, want 16 of 8", len(trips), len(driven))
	}
}

type telemetry struct {
	Device struct {
		Telemetry []struct {
			Key    string
			Points []struct {
				At    string
				Value float64
			}
		}
	}
}

const telemetryQuery = `query($id: ID!, $step: Int, $aggregate: Aggregate) {
	device(id: $id) { telemetry(keys: ["temperature"], from: "2013-01-01T00:00:00Z", to: "2015-01-01T00:00:00Z", stepSeconds: $step, aggregate: $aggregate) {
		key points { at value }
	} }
}`

func TestMachineTemperature(t *testing.T) {
	t.Parallel()
	p := harness.Demo(t)
	operator := p.SignIn(t, "operator")
	machine := harness.DeviceByName(t, p, operator, "Machine temperature")

	raw := harness.Query[telemetry](t, p, operator, telemetryQuery, harness.Vars{"id": machine}).Device.Telemetry
	if len(raw) != 1 {
		t.Fatalf("there are %d series", len(raw))
	}
	hot, cold := 0, 0
	for _, point := range raw[0].Points {
		if point.Value >= 100 {
			hot++
		}
		if point.Value < 40 {
			cold++
		}
	}
	if got := fmt.Sprint(len(raw[0].Points), hot, cold); got != "22695 1586 399" {
		t.Errorf("readings, hot, cold: %s, want 22695 1586 399", got)
	}

	steps := harness.Query[telemetry](t, p, operator, telemetryQuery, harness.Vars{"id": machine, "step": 400 * 24 * 3600, "aggregate": "COUNT"}).Device.Telemetry
	var sum float64
	for _, point := range steps[0].Points {
		sum += point.Value
	}
	if sum != 22695 || len(steps[0].Points) > 2 {
		t.Errorf("COUNT over %d steps gives %v readings, want 22695", len(steps[0].Points), sum)
	}
}

func TestDemoObservationsMatchSources(t *testing.T) {
	t.Parallel()
	p := harness.Demo(t)
	operator := p.SignIn(t, "operator")
	const query = `{
		all: activities(filter: {kinds: [OBSERVATION]}, first: 1) { totalCount }
		done: activities(filter: {kinds: [OBSERVATION], status: "DONE"}, first: 1) { totalCount }
		failed: activities(filter: {kinds: [OBSERVATION], status: "FAILED"}, first: 1) { totalCount }
	}`
	got := harness.Query[map[string]harness.Count](t, p, operator, query, nil)
	if got := fmt.Sprint(got["all"].TotalCount, got["done"].TotalCount, got["failed"].TotalCount); got != "301 291 10" {
		t.Errorf("observations, done, failed: %s, want 301 291 10", got)
	}
}

func TestDemoWaterMatchesSources(t *testing.T) {
	t.Parallel()
	p := harness.Demo(t)
	got := harness.Query[struct {
		Hydration struct {
			TotalMl int
			Days    []struct{ TotalMl int }
			Entries []struct{ Amount float64 }
		}
	}](t, p, p.SignIn(t, "alice"), `{ hydration(from: "2000-01-01T00:00:00Z", to: "2100-01-01T00:00:00Z") { totalMl days { totalMl } entries { amount } } }`, nil).Hydration
	if len(got.Entries) != 5 || got.TotalMl != 1300 || len(got.Days) != 1 || got.Days[0].TotalMl != 1300 {
		t.Errorf("the water is %+v, want 5 logs and 1300 ml on one day", got)
	}
}
