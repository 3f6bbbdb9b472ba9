package e2e

import (
	"regexp"
	"strings"
	"testing"
)

// dashboard is the query that a first screen asks: four lists, two levels, all five services.
const dashboard = `{
	overview { devices { online total } jobs { running } recentActivities { title startedAt } degraded }
	trips(first: 20) { nodes { id status distance fee { amountMinor currency } vehicle { id name } account { name } } }
	jobs(first: 20) { nodes { id name status device { id name } } }
	activities(first: 50) { nodes { id kind title startedAt device { id name } } }
	devices(first: 20) { nodes { id name currentTrip { id } } }
}`

// board is the answer to the dashboard.
type board struct {
	Overview *struct {
		Devices          *struct{ Online, Total int }
		Jobs             *struct{ Running int }
		RecentActivities []struct{ Title, StartedAt string }
		Degraded         []string
	}
	Trips *struct {
		Nodes []struct {
			ID, Status string
			Distance   float64
			Fee        struct {
				AmountMinor int
				Currency    string
			}
			Vehicle *struct{ ID, Name string }
			Account *struct{ Name string }
		}
	}
	Jobs *struct {
		Nodes []struct {
			ID, Name, Status string
			Device           *struct{ ID, Name string }
		}
	}
	Activities *struct {
		Nodes []struct {
			ID, Kind, Title, StartedAt string
			Device                     *struct{ ID, Name string }
		}
	}
	Devices *struct {
		Nodes []struct {
			ID, Name    string
			CurrentTrip *struct{ ID string }
		}
	}
}

// What a newcomer sees of the one command.
func TestDemoTellsANewcomerWhereToGo(t *testing.T) {
	t.Parallel()
	p := demo(t)
	for _, want := range []string{
		p.URL + "/graphiql/", p.URL + "/graphql", p.URL + "/readyz", p.URL + "/metrics",
		"admin, operator, alice, bob", "X-API-Key: sluice_", "login(input: {provider: DEMO",
	} {
		if !strings.Contains(p.stdout.String(), want) {
			t.Errorf("the program does not print %q:\n%s", want, p.stdout)
		}
	}
	status, page := p.get(t, "/graphiql/")
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
		if status, _ := p.get(t, path); status != 200 {
			t.Errorf("GraphiQL's %s is not served: %d", path, status)
		}
	}
}

func TestDashboardIsAnsweredWithoutError(t *testing.T) {
	t.Parallel()
	p := demo(t)
	checkBoard(t, ask[board](t, p, p.signIn(t, "operator"), dashboard, nil))
}

func checkBoard(t *testing.T, b board) {
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

type counted struct {
	TotalCount int
	Nodes      []struct{ ID string }
}

func TestSecondStartLoadsNothingAgain(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	first := start(t, serveDemo(data)...)
	before := ask[map[string]counted](t, first, first.signIn(t, "operator"), totals, nil)
	first.stopCleanly(t)
	if !strings.Contains(first.stderr.String(), "loading the recordings") {
		t.Errorf("the first start does not say that it loads:\n%s", first.stderr)
	}

	second := start(t, serveDemo(data)...)
	after := ask[map[string]counted](t, second, second.signIn(t, "operator"), totals, nil)
	if strings.Contains(second.stderr.String(), "loading") {
		t.Errorf("the second start loads:\n%s", second.stderr)
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
	second.stopCleanly(t)
}
