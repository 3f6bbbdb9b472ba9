package e2e

import (
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/testserver"
)

// names of a device, as a gateway tells them.
type deviceName struct {
	Device  struct{ Name string }
	Devices struct {
		Nodes []struct{ Name string }
	}
}

// Two gateways keep answers in one Redis, which is killed on the way. What one has answered to be
// changed, neither shows as it was before, alone or in a list.
func TestGatewaysNeverShowWhatWasBefore(t *testing.T) {
	t.Parallel()
	redis, nats := testserver.StartRedis(t), testserver.StartNATS(t)
	in := startServices(t, "--nats-url", nats.URL(), "--redis-url", redis.URL(), "--redis-timeout", "2s")
	gateways := []*program{in.startGateway(t, serviceToken), in.startGateway(t, serviceToken)}
	admin := gateways[0].signIn(t, "admin")
	car := ask[struct {
		RegisterDevice struct{ Device struct{ ID string } }
	}](t, gateways[0], admin, `mutation { registerDevice(input: {name: "0", kind: VEHICLE}) { device { id } } }`, nil).RegisterDevice.Device.ID
	const read = `query($id: ID!) { device(id: $id) { name } devices(first: 1, orderBy: NEWEST) { nodes { name } } }`
	check := func(p *program, want string) {
		t.Helper()
		got := ask[deviceName](t, p, admin, read, map[string]any{"id": car})
		if got.Device.Name != want || got.Devices.Nodes[0].Name != want {
			t.Fatalf("after %s was answered a gateway shows %+v", want, got)
		}
	}
	killed := false // in the middle: a new Redis is used after some seconds
	for i, began := 1, time.Now(); time.Since(began) < 14*time.Second; i++ {
		name := fmt.Sprint(i)
		ask[struct{}](t, gateways[i%2], admin, `mutation($id: ID!, $name: String!) { updateDevice(input: {id: $id, name: $name}) { id } }`,
			map[string]any{"id": car, "name": name})
		for until := time.Now().Add(200 * time.Millisecond); time.Now().Before(until); { // more often would be taken for a loop
			check(gateways[0], name)
			check(gateways[1], name)
		}
		if !killed && time.Since(began) > 7*time.Second {
			killed = true
			redis.Kill(t)
			redis.Start(t)
		}
	}
	for i, p := range gateways {
		if _, told := p.get(t, "/metrics"); !kept.MatchString(told) {
			t.Errorf("gateway %d has found nothing in its cache: this proves nothing", i)
		}
	}
}

// kept is an answer that came from the cache.
var kept = regexp.MustCompile(`(?m)^sluice_cache_reads_total\{method="Devices\.\w+",outcome="(memory|redis)"\} [1-9]`)
