package e2e

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/testserver"
)

// serviceToken is what the parts of an installation share.
const serviceToken = "a-secret-of-this-test"

// What the gateway of an installation gives a request, and a call to a service: a call that hangs must
// leave a busy machine the time for all the others.
const (
	requestTimeout = 30 * time.Second
	callTimeout    = 3 * time.Second
)

// installation is Sluice with every part in a process of its own.
type installation struct {
	owner    *testing.T // whose end is theirs, whichever subtest starts them
	gateway  *program
	services map[string]*program
	data     string
	addrs    []string // flags that say where the services are
	listen   []string // flags that say where they listen
	mqtt     string   // where devices connect
	all      []string // flags that every part is given
}

// startApart starts five services and a gateway, with something in each service.
func startApart(t *testing.T) *installation {
	t.Helper()
	in := startServices(t)
	in.gateway = in.startGateway(t, serviceToken)
	in.fill(t)
	return in
}

// startServices starts five services. All parts are given the flags.
func startServices(t *testing.T, all ...string) *installation {
	t.Helper()
	in := &installation{owner: t, data: t.TempDir(), services: map[string]*program{}, all: all, mqtt: "127.0.0.1:" + testserver.FreePort(t)}
	for _, name := range []string{"account", "device", "trip", "job", "activity"} {
		at := "127.0.0.1:" + testserver.FreePort(t)
		in.addrs = append(in.addrs, "--services-"+name+"-addr", at)
		in.listen = append(in.listen, "--services-"+name+"-listen", at)
	}
	for _, name := range []string{"account", "device", "trip", "job", "activity"} {
		in.start(t, name)
	}
	return in
}

// start starts a service, or starts it again at the same address.
func (in *installation) start(t *testing.T, name string) {
	t.Helper()
	args := []string{"service", name, "--demo", "--data", filepath.Join(in.data, name), "--service-token", serviceToken}
	if name == "device" {
		args = append(args, "--mqtt-addr", in.mqtt)
	}
	in.services[name] = in.run(t, slices.Concat(args, in.listen, in.all))
}

// startGateway starts a gateway that is less patient than the default, so that tests need less patience.
func (in *installation) startGateway(t *testing.T, token string) *program {
	t.Helper()
	args := []string{
		"gateway", "--addr", "127.0.0.1:0", "--service-token", token,
		"--call-timeout", callTimeout.String(), "--http-request-timeout", requestTimeout.String(), "--breaker-open-for", "2s",
	}
	return in.run(t, slices.Concat(args, in.addrs, in.all))
}

func (in *installation) run(t *testing.T, args []string) *program {
	t.Helper()
	p := launch(t, args...)
	in.owner.Cleanup(p.end)
	p.awaitReady(t)
	return p
}

// fill gives every service a row, and most rows a reference.
func (in *installation) fill(t *testing.T) {
	t.Helper()
	p := in.gateway
	const register = `mutation { registerDevice(input: {name: "Car", kind: VEHICLE, lock: false}) { device { id } } }`
	car := ask[struct {
		RegisterDevice struct{ Device struct{ ID string } }
	}](t, p, p.signIn(t, "admin"), register, nil).RegisterDevice.Device.ID
	const rent = `mutation($car: ID!) { startTrip(input: {vehicleId: $car, position: {latitude: 48.1, longitude: 11.5}}) { id } }`
	ask[any](t, p, p.signIn(t, "alice"), rent, vars{"car": car})
	const rest = `mutation($car: ID!) {
		createJob(input: {name: "Wash", kind: "log", payload: {message: "wash"}, runAt: "2100-01-01T00:00:00Z", deviceId: $car}) { id }
		recordActivity(input: {kind: NOTE, title: "Bought", deviceId: $car, public: true}) { id }
	}`
	ask[any](t, p, p.signIn(t, "operator"), rest, vars{"car": car})
}

// recovered waits until the dashboard is whole again.
func (in *installation) recovered(t *testing.T, token string) {
	t.Helper()
	eventually(t, patience, "the dashboard is whole again", func() bool {
		return len(in.gateway.graphql(t, token, dashboard, nil).Errors) == 0
	})
	if status, body := in.gateway.get(t, "/readyz"); status != 200 {
		t.Errorf("the gateway is not ready again: %d %s", status, body)
	}
}

// checkProblems wants errors at these places, as in "trips.nodes.0.vehicle", each of which names the
// service, and no others.
func checkProblems(t *testing.T, a answer, service string, places ...string) {
	t.Helper()
	found := map[string]bool{}
	for _, p := range a.Errors {
		found[p.place()] = true
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

// Every part in a process of its own: the answer is the same, and what is down takes nothing else
// with it.
func TestApart(t *testing.T) {
	t.Parallel()
	in := startApart(t)
	operator := in.gateway.signIn(t, "operator")

	t.Run("all answer", func(t *testing.T) {
		b := ask[board](t, in.gateway, operator, dashboard, nil)
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
		in.gateway.stopCleanly(t)
		for _, service := range in.services {
			service.stopCleanly(t)
		}
	})
}

func testTripsDown(t *testing.T, in *installation, operator string) {
	in.services["trip"].kill(t)
	a := in.gateway.graphql(t, operator, dashboard, nil)
	checkProblems(t, a, "TRIP", "trips", "devices.nodes.0.currentTrip")
	b := partly[board](t, a)
	if b.Trips != nil || len(b.Overview.Degraded) != 1 || b.Overview.Degraded[0] != "TRIP" {
		t.Errorf("trips %v, degraded %v", b.Trips, b.Overview.Degraded)
	}
	if b.Overview.Devices.Total != 1 || b.Jobs.Nodes[0].Device.Name != "Car" || b.Activities.Nodes[0].Device.Name != "Car" || b.Devices.Nodes[0].Name != "Car" {
		t.Errorf("the rest is not all there: %s", a.Data)
	}
	if status, body := in.gateway.get(t, "/readyz"); status != 503 {
		t.Errorf("the gateway says that it is ready: %d %s", status, body)
	}
	in.start(t, "trip")
	in.recovered(t, operator)
}

func testDevicesDown(t *testing.T, in *installation, operator string) {
	in.services["device"].kill(t)
	a := in.gateway.graphql(t, operator, dashboard, nil)
	checkProblems(t, a, "DEVICE", "devices", "trips.nodes.0.vehicle", "jobs.nodes.0.device", "activities.nodes.0.device")
	b := partly[board](t, a)
	if b.Devices != nil || b.Overview.Devices != nil || len(b.Overview.Degraded) != 1 || b.Overview.Degraded[0] != "DEVICE" {
		t.Errorf("devices %v, overview %+v", b.Devices, b.Overview)
	}
	if trip := b.Trips.Nodes[0]; trip.Vehicle != nil || trip.Account.Name == "" || trip.Status != "IN_PROGRESS" {
		t.Errorf("the trip is %+v", trip)
	}
	in.start(t, "device")
	in.recovered(t, operator)
}

func testWrongToken(t *testing.T, in *installation, operator string) {
	stranger := in.startGateway(t, "a-secret-of-another-one")
	const login = `mutation { login(input: {provider: DEMO, code: "admin"}) { accessToken } }`
	refusal(t, stranger.graphql(t, "", login, nil), "UNAUTHENTICATED", "SERVICE_TOKEN")
	if a := stranger.graphql(t, operator, dashboard, nil); len(a.Errors) == 0 || len(a.Data) > 0 && string(a.Data) != "null" {
		t.Errorf("the stranger is told %s %v", a.Data, a.Errors)
	}
	stranger.stopCleanly(t)
}
