package harness

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/testserver"
)

// ServiceToken is what the parts of an installation share.
const ServiceToken = "a-secret-of-this-test"

// What the gateway of an installation gives a request, and a call to a service: a call that hangs must
// leave a busy machine the time for all the others.
const (
	RequestTimeout = 30 * time.Second
	CallTimeout    = 3 * time.Second
)

// Installation is Sluice with every part in a process of its own.
type Installation struct {
	owner        *testing.T // whose end is theirs, whichever subtest starts them
	Gateway      *Program
	Services     map[string]*Program
	data         string
	ServiceFlags []string // flags that say where the services are
	listen       []string // flags that say where they listen
	MQTTAddr     string   // where devices connect
	CommonFlags  []string // flags that every part is given
}

// StartInstallation starts five services and a gateway, with something in each service.
func StartInstallation(t *testing.T) *Installation {
	t.Helper()
	in := StartServices(t)
	in.Gateway = in.StartGateway(t, ServiceToken)
	in.fill(t)
	return in
}

// StartServices starts five services. All parts are given the flags.
func StartServices(t *testing.T, all ...string) *Installation {
	t.Helper()
	in := &Installation{owner: t, data: t.TempDir(), Services: map[string]*Program{}, CommonFlags: all, MQTTAddr: "127.0.0.1:" + testserver.FreePort(t)}
	for _, name := range []string{"account", "device", "trip", "job", "activity"} {
		at := "127.0.0.1:" + testserver.FreePort(t)
		in.ServiceFlags = append(in.ServiceFlags, "--services-"+name+"-addr", at)
		in.listen = append(in.listen, "--services-"+name+"-listen", at)
	}
	for _, name := range []string{"account", "device", "trip", "job", "activity"} {
		in.StartService(t, name)
	}
	return in
}

// StartService starts a service, or starts it again at the same address.
func (in *Installation) StartService(t *testing.T, name string) {
	t.Helper()
	args := []string{"service", name, "--demo", "--data", filepath.Join(in.data, name), "--service-token", ServiceToken}
	if name == "device" {
		args = append(args, "--mqtt-addr", in.MQTTAddr)
	}
	in.Services[name] = in.StartPart(t, slices.Concat(args, in.listen, in.CommonFlags))
}

// StartGateway starts a gateway that is less patient than the default, so that tests need less patience.
func (in *Installation) StartGateway(t *testing.T, token string) *Program {
	t.Helper()
	args := []string{
		"gateway", "--addr", "127.0.0.1:0", "--service-token", token,
		"--call-timeout", CallTimeout.String(), "--http-request-timeout", RequestTimeout.String(), "--breaker-open-for", "2s",
	}
	return in.StartPart(t, slices.Concat(args, in.ServiceFlags, in.CommonFlags))
}

func (in *Installation) StartPart(t *testing.T, args []string) *Program {
	t.Helper()
	p := Launch(t, args...)
	in.owner.Cleanup(p.Close)
	p.AwaitReady(t)
	return p
}

// fill gives every service a row, and most rows a reference.
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

// AwaitRecovery waits until the dashboard is whole again.
func (in *Installation) AwaitRecovery(t *testing.T, token string) {
	t.Helper()
	Eventually(t, Timeout, "the dashboard is whole again", func() bool {
		return len(in.Gateway.Execute(t, token, DashboardQuery, nil).Errors) == 0
	})
	if status, body := in.Gateway.Get(t, "/readyz"); status != 200 {
		t.Errorf("the gateway is not ready again: %d %s", status, body)
	}
}
