package cache

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/e2e/harness"
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
func TestGatewaysWithSharedCacheNeverReturnStaleData(t *testing.T) {
	t.Parallel()
	redis, nats := testserver.StartRedis(t), testserver.StartNATS(t)
	in := harness.StartServices(t, "--nats-url", nats.URL(), "--redis-url", redis.URL(), "--redis-timeout", "2s")
	gateways := []*harness.Program{in.StartGateway(t, harness.ServiceToken), in.StartGateway(t, harness.ServiceToken)}
	admin := gateways[0].SignIn(t, "admin")
	car := harness.Query[struct {
		RegisterDevice struct{ Device struct{ ID string } }
	}](t, gateways[0], admin, `mutation { registerDevice(input: {name: "0", kind: VEHICLE}) { device { id } } }`, nil).RegisterDevice.Device.ID
	const read = `query($id: ID!) { device(id: $id) { name } devices(first: 1, orderBy: NEWEST) { nodes { name } } }`
	check := func(p *harness.Program, want string) {
		t.Helper()
		got := harness.Query[deviceName](t, p, admin, read, map[string]any{"id": car})
		if got.Device.Name != want || got.Devices.Nodes[0].Name != want {
			t.Fatalf("after %s was answered a gateway shows %+v", want, got)
		}
	}
	writes := 0
	write := func() {
		t.Helper()
		writes++
		name := fmt.Sprint(writes)
		harness.Query[struct{}](t, gateways[writes%2], admin, `mutation($id: ID!, $name: String!) { updateDevice(input: {id: $id, name: $name}) { id } }`,
			map[string]any{"id": car, "name": name})
		for until := time.Now().Add(200 * time.Millisecond); time.Now().Before(until); {
			check(gateways[0], name)
			check(gateways[1], name)
		}
	}
	// A new Redis is used after some seconds.
	untilUsed := func(what string) {
		t.Helper()
		one, other := found(t, gateways[0]), found(t, gateways[1])
		harness.Eventually(t, 2*harness.Timeout, what, func() bool {
			write()
			return found(t, gateways[0]) > one+20 && found(t, gateways[1]) > other+20
		})
	}
	untilUsed("both gateways use the cache")
	redis.Kill(t)
	write()
	redis.Start(t)
	untilUsed("both gateways use the cache of the new Redis")
}

var foundInCache = regexp.MustCompile(`(?m)^sluice_cache_reads_total\{method="Devices\.\w+",outcome="(?:memory|redis)"\} (\d+)`)

// found counts the answers that a gateway had in its cache.
func found(t *testing.T, p *harness.Program) (all int) {
	t.Helper()
	_, told := p.Get(t, "/metrics")
	for _, of := range foundInCache.FindAllStringSubmatch(told, -1) {
		n, err := strconv.Atoi(of[1])
		if err != nil {
			t.Fatal(err)
		}
		all += n
	}
	return all
}

// Operators who ask for it are told of each field where it came from: asked twice, the second time from the cache.
func TestCacheExtensionReportsTierOfFields(t *testing.T) {
	t.Parallel()
	p := harness.Start(t, harness.DemoArgs(t.TempDir())...)
	operator, alice := p.SignIn(t, "operator"), p.SignIn(t, "alice")
	const query = `{"query": "{ trips(first: 3) { nodes { vehicle { name } } } devices(first: 3) { nodes { name } } }"}`
	tiers := func(token string) string {
		var said struct {
			Errors     []harness.GraphQLError
			Extensions struct {
				Cache struct {
					Fields []struct {
						Path         []string
						Result, Tier string
					}
				}
			}
		}
		executeWithCacheReport(t, p, token, query, &said)
		if len(said.Errors) > 0 {
			t.Fatal(said.Errors)
		}
		told := ""
		for _, f := range said.Extensions.Cache.Fields {
			told += fmt.Sprint(strings.Join(f.Path, "."), " ", f.Result, " ", f.Tier, "; ")
		}
		return told
	}
	if got, want := tiers(operator), "devices MISS ; trips MISS ; trips.nodes.vehicle MISS ; "; got != want {
		t.Errorf("the first time it is told %q, want %q", got, want)
	}
	harness.Eventually(t, harness.Timeout, "all to come from memory", func() bool {
		return tiers(operator) == "devices HIT MEMORY; trips HIT MEMORY; trips.nodes.vehicle HIT MEMORY; "
	})
	if got := tiers(alice); got != "" {
		t.Errorf("a member is told %q", got)
	}
}

// tellingCache asks for extensions.cache.
func executeWithCacheReport(t *testing.T, p *harness.Program, token, body string, said any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.URL+"/graphql", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Sluice-Cache", "1")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if err := json.NewDecoder(response.Body).Decode(said); err != nil {
		t.Fatal(err)
	}
}
