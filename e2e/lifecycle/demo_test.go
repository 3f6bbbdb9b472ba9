package lifecycle

import (
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
