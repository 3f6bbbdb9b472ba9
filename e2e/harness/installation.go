package harness

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/testserver"
)

// ServiceToken is the service token that the parts of an installation share.
const ServiceToken = "a-secret-of-this-test"

// SealingKey seals the secrets of a database that several processes share.
const SealingKey = "the-sealing-key-of-a-test-of-32-bytes-or-more"

// Deadlines of a request and of a call to a service. A call that hangs must leave enough time for the other calls,
// also on a busy machine.
const (
	RequestTimeout = 30 * time.Second
	CallTimeout    = 3 * time.Second
)

// Installation is Sluice with each part in its own process.
type Installation struct {
	WebsocketAddr string     // address of the device service for WebSockets from the gateway
	owner         *testing.T // the parts end with this test, also those that a subtest starts
	Gateway       *Program
	Services      map[string]*Program
	data          string
	ServiceFlags  []string // flags with the addresses of the services, for the gateway
	listen        []string // flags with the addresses on which the services listen
	MQTTAddr      string   // address of the device listener
	CommonFlags   []string // flags of every part
}

// StartInstallation starts five services and a gateway, with one row in each service.
func StartInstallation(t *testing.T) *Installation {
	t.Helper()
	in := StartServices(t)
	in.Gateway = in.StartGateway(t, ServiceToken)
	in.fill(t)
	return in
}

// StartServices starts five services. The flags apply to every part.
func StartServices(t *testing.T, all ...string) *Installation {
	t.Helper()
	in := LaunchServices(t, all...)
	for _, service := range in.Services {
		service.AwaitReady(t)
	}
	return in
}

// LaunchServices is StartServices without waiting until they are ready.
func LaunchServices(t *testing.T, all ...string) *Installation {
	t.Helper()
	webSockets := "127.0.0.1:" + testserver.FreePort(t)
	all = append(slices.Clone(all), "--mqtt-websocket-addr", webSockets)
	in := &Installation{WebsocketAddr: webSockets, owner: t, data: t.TempDir(), Services: map[string]*Program{}, CommonFlags: all, MQTTAddr: "127.0.0.1:" + testserver.FreePort(t)}
	for _, name := range []string{"account", "device", "trip", "job", "activity"} {
		at := "127.0.0.1:" + testserver.FreePort(t)
		in.ServiceFlags = append(in.ServiceFlags, "--services-"+name+"-addr", at)
		in.listen = append(in.listen, "--services-"+name+"-listen", at)
	}
	for _, name := range []string{"account", "device", "trip", "job", "activity"} {
		in.launchService(t, name)
	}
	return in
}

// StartService starts or restarts a service at its address.
func (in *Installation) StartService(t *testing.T, name string) {
	t.Helper()
	in.launchService(t, name)
	in.Services[name].AwaitReady(t)
}

func (in *Installation) launchService(t *testing.T, name string) {
	t.Helper()
	args := []string{"service", name, "--demo", "--data", filepath.Join(in.data, name), "--service-token", ServiceToken}
	if name == "device" {
		args = append(args, "--mqtt-addr", in.MQTTAddr)
	}
	in.Services[name] = Launch(t, slices.Concat(args, in.listen, in.CommonFlags)...)
	in.owner.Cleanup(in.Services[name].Close)
}

// StartGateway starts a gateway with shorter timeouts than the default.
func (in *Installation) StartGateway(t *testing.T, token string, more ...string) *Program {
	t.Helper()
	args := []string{
		"gateway", "--addr", "127.0.0.1:0", "--service-token", token,
		"--call-timeout", CallTimeout.String(), "--http-request-timeout", RequestTimeout.String(), "--breaker-open-duration", "2s",
	}
	return in.StartPart(t, slices.Concat(args, in.ServiceFlags, in.CommonFlags, more))
}

// StartPart runs the program with the arguments until the installation's test ends.
func (in *Installation) StartPart(t *testing.T, args []string) *Program {
	t.Helper()
	p := Launch(t, args...)
	in.owner.Cleanup(p.Close)
	p.AwaitReady(t)
	return p
}

// fill writes one row to each service, most of them with a reference to another row.
func (in *Installation) fill(t *testing.T) {
	t.Helper()
	p := in.Gateway
	const register = `mutation { registerDevice(input: {name: "Car", kind: VEHICLE, lock: false}) { device { id } } }`
	car := Query[struct {
		RegisterDevice struct{ Device struct{ ID string } }
	}](t, p, p.SignIn(t, "admin"), register, nil).RegisterDevice.Device.ID
	const rent = `mutation($car: ID!) { startTrip(input: {vehicleId: $car, position: {latitude: 48.1, longitude: 11.5}}) { id } }`
	Query[any](t, p, p.SignIn(t, "alice"), rent, Vars{"car": car})
	const rest = `mutation($car: ID!) {
		createJob(input: {name: "Wash", kind: "log", payload: {message: "wash"}, runAt: "2100-01-01T00:00:00Z", deviceId: $car}) { id }
		recordActivity(input: {kind: NOTE, title: "Bought", deviceId: $car, public: true}) { id }
	}`
	Query[any](t, p, p.SignIn(t, "operator"), rest, Vars{"car": car})
}

// AwaitRecovery waits until the dashboard is complete and the gateway is ready.
func (in *Installation) AwaitRecovery(t *testing.T, token string) {
	t.Helper()
	Eventually(t, Timeout, "the dashboard is complete", func() bool {
		return len(in.Gateway.Execute(t, token, DashboardQuery, nil).Errors) == 0
	})
	if status, body := in.Gateway.Get(t, "/readyz"); status != 200 {
		t.Errorf("the gateway is not ready: %d %s", status, body)
	}
}
