package lifecycle

import (
	"strings"
	"testing"

	"github.com/sluicehq/sluice/e2e/harness"
)

// checkProblems wants errors at these places, as in "trips.nodes.0.vehicle", each of which names the
// service, and no others.
func checkProblems(t *testing.T, a harness.Response, service string, places ...string) {
	t.Helper()
	found := map[string]bool{}
	for _, p := range a.Errors {
		found[p.PathString()] = true
		if p.Extensions.Service != service || p.Extensions.Code != "UNAVAILABLE" || !p.Extensions.Retryable || p.Extensions.RequestID == "" {
			t.Errorf("the error is %v (%+v), want one of %s", p, p.Extensions, service)
		}
	}
	for _, place := range places {
		if !found[place] {
			t.Errorf("there is no error at %s: %v", place, a.Errors)
		}
	}
	if len(found) != len(places) {
		t.Errorf("there are errors at %v, want them at %v", found, places)
	}
}

// Every part in a process of its own: the answer is the same, and what is down takes nothing else with it.
func TestServicesInSeparateProcessesFailAlone(t *testing.T) {
	t.Parallel()
	in := harness.StartInstallation(t)
	operator := in.Gateway.SignIn(t, "operator")

	t.Run("all answer", func(t *testing.T) {
		b := harness.Query[harness.Dashboard](t, in.Gateway, operator, harness.DashboardQuery, nil)
		if trip := b.Trips.Nodes[0]; trip.Vehicle.Name != "Car" || trip.Account.Name == "" || len(b.Overview.Degraded) > 0 {
			t.Errorf("the trip is %+v, degraded %v", trip, b.Overview.Degraded)
		}
		if b.Devices.Nodes[0].CurrentTrip.ID != b.Trips.Nodes[0].ID || b.Jobs.Nodes[0].Device.Name != "Car" || b.Activities.Nodes[0].Device.Name != "Car" {
			t.Errorf("the dashboard is %+v", b)
		}
	})
	t.Run("a gateway with another service token gets nothing", func(t *testing.T) { testWrongToken(t, in, operator) })
	t.Run("the trip service is killed", func(t *testing.T) { testTripsDown(t, in, operator) })
	t.Run("the device service is killed", func(t *testing.T) { testDevicesDown(t, in, operator) })
	t.Run("the trip service hangs", func(t *testing.T) { testTripsHang(t, in, operator) })
	t.Run("all end well", func(t *testing.T) {
		in.Gateway.StopCleanly(t)
		for _, service := range in.Services {
			service.StopCleanly(t)
		}
	})
}

func testTripsDown(t *testing.T, in *harness.Installation, operator string) {
	in.Services["trip"].Kill(t)
	a := in.Gateway.Execute(t, operator, harness.DashboardQuery, nil)
	checkProblems(t, a, "TRIP", "trips", "devices.nodes.0.currentTrip")
	b := harness.PartialData[harness.Dashboard](t, a)
	if b.Trips != nil || len(b.Overview.Degraded) != 1 || b.Overview.Degraded[0] != "TRIP" {
		t.Errorf("trips %v, degraded %v", b.Trips, b.Overview.Degraded)
	}
	if b.Overview.Devices.Total != 1 || b.Jobs.Nodes[0].Device.Name != "Car" || b.Activities.Nodes[0].Device.Name != "Car" || b.Devices.Nodes[0].Name != "Car" {
		t.Errorf("the rest is not all there: %s", a.Data)
	}
	if status, body := in.Gateway.Get(t, "/readyz?verbose"); status != 200 || !strings.Contains(body, `"down":["trip"]`) {
		t.Errorf("the gateway is not ready, or does not name the trip service: %d %s", status, body)
	}
	if status, body := in.Gateway.Get(t, "/metrics"); status != 200 || !strings.Contains(body, `sluice_part_up{part="trip"} 0`) {
		t.Errorf("the metrics do not show that the trip service is away: %d", status)
	}
	in.StartService(t, "trip")
	in.AwaitRecovery(t, operator)
}

func testDevicesDown(t *testing.T, in *harness.Installation, operator string) {
	in.Services["device"].Kill(t)
	a := in.Gateway.Execute(t, operator, harness.DashboardQuery, nil)
	checkProblems(t, a, "DEVICE", "devices", "trips.nodes.0.vehicle", "jobs.nodes.0.device", "activities.nodes.0.device")
	b := harness.PartialData[harness.Dashboard](t, a)
	if b.Devices != nil || b.Overview.Devices != nil || len(b.Overview.Degraded) != 1 || b.Overview.Degraded[0] != "DEVICE" {
		t.Errorf("devices %v, overview %+v", b.Devices, b.Overview)
	}
	if trip := b.Trips.Nodes[0]; trip.Vehicle != nil || trip.Account.Name == "" || trip.Status != "IN_PROGRESS" {
		t.Errorf("the trip is %+v", trip)
	}
	in.StartService(t, "device")
	in.AwaitRecovery(t, operator)
}

func testWrongToken(t *testing.T, in *harness.Installation, operator string) {
	stranger := in.StartGateway(t, "a-secret-of-another-one")
	const login = `mutation { login(input: {provider: DEMO, code: "admin"}) { accessToken } }`
	harness.RequireError(t, stranger.Execute(t, "", login, nil), "UNAUTHENTICATED", "SERVICE_TOKEN")
	if a := stranger.Execute(t, operator, harness.DashboardQuery, nil); len(a.Errors) == 0 || len(a.Data) > 0 && string(a.Data) != "null" {
		t.Errorf("the stranger is told %s %v", a.Data, a.Errors)
	}
	stranger.StopCleanly(t)
}
