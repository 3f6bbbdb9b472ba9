package lifecycle

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/e2e/harness"
)

// What a newcomer sees of the one command.
func TestDemoPrintsURLsAndIdentities(t *testing.T) {
	t.Parallel()
	p := harness.Demo(t)
	for _, want := range []string{
		p.URL + "/graphiql/", p.URL + "/graphql", p.URL + "/readyz", p.URL + "/metrics",
		"admin, operator, alice, bob", "X-API-Key: sluice_", "login(input: {provider: DEMO",
	} {
		if !strings.Contains(p.Stdout.String(), want) {
			t.Errorf("the program does not print %q:\n%s", want, p.Stdout)
		}
	}
	status, page := p.Get(t, "/graphiql/")
	if status != 200 || !strings.Contains(page, "<div id=") {
		t.Errorf("GraphiQL is not served: %d %.200s", status, page)
	}
	for _, asset := range regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page, -1) {
		if strings.Contains(asset[1], "//") {
			t.Errorf("GraphiQL needs %s of another host", asset[1])
			continue
		}
		path := asset[1]
		if !strings.HasPrefix(path, "/") {
			path = "/graphiql/" + strings.TrimPrefix(path, "./")
		}
		if status, _ := p.Get(t, path); status != 200 {
			t.Errorf("GraphiQL's %s is not served: %d", path, status)
		}
	}
}

// The demo signs everybody in as ADMIN, so it must never have data of others.
func TestDemoRefusesDataItDidNotMake(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	harness.CreateAPIKey(t, data, "MEMBER", "trip:read")
	refused := harness.Run(t, harness.DemoArgs(data)...)
	if refused.Code != 1 || !strings.Contains(refused.Stderr, "did not make") || !strings.Contains(refused.Stderr, "--data") {
		t.Errorf("it ended with %d and said %s", refused.Code, refused.Stderr)
	}
	imported := harness.Run(t, "import", "hydration", "../../testdata/hydration/fitbit-water-day.json", "--account", "admin", "--data", data)
	if imported.Code != 1 || !strings.Contains(imported.Stderr, "identity of the demo") {
		t.Errorf("the import ended with %d and said %s", imported.Code, imported.Stderr)
	}
	refused = harness.Run(t, "serve", "--demo", "--addr", "0.0.0.0:0", "--data", t.TempDir())
	if refused.Code != 1 || !strings.Contains(refused.Stderr, "demo_public") {
		t.Errorf("beyond loopback it ended with %d and said %s", refused.Code, refused.Stderr)
	}
}

// A folder of the demo is accepted again, and importers find its identities.
func TestDemoAcceptsItsOwnData(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	harness.Start(t, harness.DemoArgs(data)...).StopCleanly(t)
	harness.MustRun(t, "import", "hydration", "../../testdata/hydration/fitbit-water-day.json", "--account", "bob", "--data", data)
	p := harness.Start(t, harness.DemoArgs(data, "--no-http-graphiql")...)
	harness.Query[any](t, p, p.SignIn(t, "bob"), "{ viewer { scopes } }", nil)
	if status, _ := p.Get(t, "/graphiql/"); status != 404 {
		t.Errorf("GraphiQL: %d", status)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "rebound.example:80"
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusForbidden {
		t.Errorf("as another host it answers %d", response.StatusCode)
	}
	p.StopCleanly(t)
}

func TestDemoInSeparateProcessesLoadsRecordings(t *testing.T) {
	t.Parallel()
	in := harness.StartServices(t)
	gateway := in.StartGateway(t, harness.ServiceToken, "--demo", "--data", t.TempDir())
	operator := gateway.SignIn(t, "operator")
	harness.Eventually(t, harness.Timeout, "the recordings are loaded", func() bool {
		return harness.Query[struct{ Jobs struct{ TotalCount int } }](t, gateway, operator, "{ jobs { totalCount } }", nil).Jobs.TotalCount == 3
	})
	loaded := harness.Query[struct{ Trips struct{ TotalCount int } }](t, gateway, operator, "{ trips { totalCount } }", nil).Trips.TotalCount
	if loaded < 600 {
		t.Errorf("there are %d trips", loaded)
	}
}

// The first query of GraphiQL, and the session of each identity that the page offers.
func TestGraphiQLDefaultQueryWorksForEveryIdentity(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../web/graphiql/src/dashboard.graphql")
	if err != nil {
		t.Fatal(err)
	}
	p := harness.Demo(t)
	for _, identity := range []string{"admin", "operator", "alice", "bob"} {
		harness.Query[any](t, p, p.SignIn(t, identity), string(document), nil)
	}
}

func TestDemoDashboardHasNoErrors(t *testing.T) {
	t.Parallel()
	p := harness.Demo(t)
	checkBoard(t, harness.Query[harness.Dashboard](t, p, p.SignIn(t, "operator"), harness.DashboardQuery, nil))
}

func checkBoard(t *testing.T, b harness.Dashboard) {
	t.Helper()
	if len(b.Overview.Degraded) != 0 {
		t.Errorf("degraded: %v", b.Overview.Degraded)
	}
	if b.Overview.Devices.Total == 0 || len(b.Overview.RecentActivities) != 10 {
		t.Errorf("the overview is %+v", b.Overview)
	}
	if len(b.Trips.Nodes) != 20 || len(b.Activities.Nodes) != 50 || len(b.Devices.Nodes) == 0 || len(b.Jobs.Nodes) != 3 {
		t.Errorf("there are %d trips, %d activities, %d devices, %d jobs",
			len(b.Trips.Nodes), len(b.Activities.Nodes), len(b.Devices.Nodes), len(b.Jobs.Nodes))
	}
	for _, trip := range b.Trips.Nodes {
		if trip.Vehicle == nil || trip.Vehicle.Name == "" || trip.Account == nil || trip.Account.Name == "" || trip.Fee.Currency != "EUR" {
			t.Errorf("the trip is %+v", trip)
		}
	}
	withDevice := 0
	for _, job := range b.Jobs.Nodes {
		if job.Device != nil {
			withDevice++
		}
	}
	if withDevice != 1 {
		t.Errorf("%d jobs have a device, want 1", withDevice)
	}
}

// totals counts what the recordings hold.
const totals = `{
	trips(first: 1) { totalCount nodes { id } }
	activities(first: 1) { totalCount nodes { id } }
	devices(first: 1) { totalCount nodes { id } }
	jobs(first: 3) { totalCount nodes { id } }
}`

func TestDemoSecondStartImportsNothing(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	first := harness.Start(t, harness.DemoArgs(data)...)
	before := harness.Query[map[string]harness.Count](t, first, first.SignIn(t, "operator"), totals, nil)
	first.StopCleanly(t)
	if !strings.Contains(first.Stderr.String(), "loading the recordings") {
		t.Errorf("the first start does not say that it loads:\n%s", first.Stderr)
	}

	second := harness.Start(t, harness.DemoArgs(data)...)
	after := harness.Query[map[string]harness.Count](t, second, second.SignIn(t, "operator"), totals, nil)
	if strings.Contains(second.Stderr.String(), "loading") {
		t.Errorf("the second start loads:\n%s", second.Stderr)
	}
	if second.APIKey == "" || second.APIKey != first.APIKey {
		t.Error("the second start shows another API key")
	}
	for list, want := range before {
		got := after[list]
		if got.TotalCount != want.TotalCount || got.Nodes[0] != want.Nodes[0] {
			t.Errorf("%s: %+v before, %+v after", list, want, got)
		}
	}
	second.StopCleanly(t)
}
