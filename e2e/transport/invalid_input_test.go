package transport

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/e2e/harness"
)

// Whatever is sent, the answer is a clear error, nothing is written, and the program goes on.
func TestInvalidInputIsRefusedWithoutWrite(t *testing.T) {
	t.Parallel()
	p := harness.Start(t, harness.DemoArgs(t.TempDir())...)
	w := newWitness(t, p)
	before := w.look(t)
	t.Run("requests", func(t *testing.T) { testRequests(t, p, w) })
	t.Run("documents", func(t *testing.T) { testDocuments(t, p, w) })
	t.Run("values", func(t *testing.T) { testValues(t, p, w) })
	t.Run("what is not the caller's", func(t *testing.T) { testForeign(t, p, w) })
	if after := w.look(t); !reflect.DeepEqual(after, before) {
		t.Errorf("refused requests have changed something:\nbefore %v\nafter  %v", before, after)
	}
	p.StopCleanly(t)
	if log := p.Stderr.String(); strings.Contains(log, "panic") || strings.Contains(log, "level=ERROR") {
		t.Errorf("bad input was a fault of ours:\n%s", log)
	}
}

// witness knows what there is, and looks whether it stays so.
type witness struct {
	p                           *harness.Program
	admin, operator, alice, bob string
	sensor, vehicle, bobsTrip   string
}

func newWitness(t *testing.T, p *harness.Program) *witness {
	t.Helper()
	w := &witness{p: p, admin: p.SignIn(t, "admin"), operator: p.SignIn(t, "operator"), alice: p.SignIn(t, "alice"), bob: p.SignIn(t, "bob")}
	w.sensor, w.vehicle = harness.DeviceByName(t, p, w.admin, "Machine temperature"), harness.DeviceByName(t, p, w.admin, "Munich car")
	w.bobsTrip = harness.TripsOf(t, p, w.bob, 10, w.vehicle)[0].ID
	return w
}

func (w *witness) look(t *testing.T) map[string]any {
	t.Helper()
	const query = `query($vehicle: ID!, $trip: ID!) {
		trips(first: 1) { totalCount } activities(first: 1) { totalCount } devices(first: 1) { totalCount }
		jobs(first: 5) { totalCount nodes { name } } apiKeys { id revokedAt }
		device(id: $vehicle) { version name labels } trip(id: $trip) { version status distance track { at } }
	}`
	return harness.Query[map[string]any](t, w.p, w.admin, query, harness.Vars{"vehicle": w.vehicle, "trip": w.bobsTrip})
}

// testRequests sends what is no GraphQL request.
func testRequests(t *testing.T, p *harness.Program, w *witness) {
	for _, c := range []struct {
		name, body string
		status     int
		reason     string
	}{
		{"JSON that is cut short", `{"query": "{ viewer { sco`, 400, "REQUEST_MALFORMED"},
		{"no JSON", `query { viewer { scopes } }`, 400, "REQUEST_MALFORMED"},
		{"nothing", ``, 400, "REQUEST_MALFORMED"},
		{"null", `null`, 400, "REQUEST_MALFORMED"},
		{"a list", `[{"query": "{ viewer { scopes } }"}]`, 400, "BATCHING_UNSUPPORTED"},
		{"a query that is a number", `{"query": 1}`, 400, "REQUEST_MALFORMED"},
		{"an empty query", `{"query": " "}`, 400, "REQUEST_MALFORMED"},
		{"variables that are a list", `{"query": "{ viewer { scopes } }", "variables": [1]}`, 400, "REQUEST_MALFORMED"},
		{"two megabytes", `{"query": "{ viewer { scopes } }", "variables": {"x": "` + strings.Repeat("x", 2<<20) + `"}}`, 413, "BODY_TOO_LARGE"},
		{"deep JSON", `{"query": "{ viewer { scopes } }", "variables": ` + strings.Repeat(`{"x":`, 20000) + `1` + strings.Repeat("}", 20000) + `}`, 400, "REQUEST_TOO_DEEP"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), harness.Timeout)
			defer cancel()
			a, err := p.PostBody(ctx, w.alice, []byte(c.body))
			if err != nil {
				t.Fatal(err)
			}
			harness.RequireError(t, a, "INVALID_ARGUMENT", c.reason)
			if a.Status != c.status || len(a.Data) > 0 {
				t.Errorf("status %d and data %s, want %d and none", a.Status, a.Data, c.status)
			}
		})
	}
	t.Run("a mutation over GET", func(t *testing.T) {
		query := url.QueryEscape(`mutation { login(input: {provider: DEMO, code: "admin"}) { accessToken } }`)
		if status, body := p.Get(t, "/graphql?query="+query); status != 405 || !strings.Contains(body, "METHOD_NOT_ALLOWED") {
			t.Errorf("answered with %d %s", status, body)
		}
	})
	t.Run("a form", func(t *testing.T) {
		response, err := http.Post(p.URL+"/graphql", "text/plain", strings.NewReader(`{"query": "{ viewer { scopes } }"}`))
		if err != nil {
			t.Fatal(err)
		}
		if response.Body.Close(); response.StatusCode != 415 {
			t.Errorf("status %d, want 415", response.StatusCode)
		}
	})
}

// refused is an operation that must be refused.
type refused struct {
	name, token, query string
	variables          harness.Vars
	code, reason       string
}

func refuseAll(t *testing.T, p *harness.Program, cases []refused) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			e := harness.RequireError(t, p.Execute(t, c.token, c.query, c.variables), c.code, c.reason)
			if e.Message == "" || e.Extensions.RequestID == "" || e.Extensions.Retryable {
				t.Errorf("the error is %+v", e)
			}
		})
	}
}

// testDocuments sends documents that must not run.
func testDocuments(t *testing.T, p *harness.Program, w *witness) {
	deep := "id"
	for range 8 {
		deep = "vehicle { currentTrip { " + deep + " } }"
	}
	var aliases strings.Builder
	for i := range 101 {
		fmt.Fprintf(&aliases, " a%d: viewer { scopes }", i)
	}
	const invalid, failed = "INVALID_ARGUMENT", "GRAPHQL_VALIDATION_FAILED"
	refuseAll(t, p, []refused{
		{"cut short", w.alice, `{ viewer {`, nil, "GRAPHQL_PARSE_FAILED", "PARSE_FAILED"},
		{"an unknown field", w.alice, `{ trips { nodes { price } } }`, nil, failed, "VALIDATION_FAILED"},
		{"no such operation", w.alice, `subscription { viewer { scopes } }`, nil, failed, "VALIDATION_FAILED"},
		{"text for a number", w.alice, `query($n: Int) { trips(first: $n) { totalCount } }`, harness.Vars{"n": "many"}, failed, "VALIDATION_FAILED"},
		{"null for an id", w.alice, `query($id: ID!) { trip(id: $id) { id } }`, harness.Vars{"id": nil}, failed, "VALIDATION_FAILED"},
		{"an unknown input field", w.alice, `mutation($in: RecordWaterInput!) { recordWater(input: $in) { id } }`, harness.Vars{"in": harness.Vars{"amountMl": 1, "glass": true}}, failed, "VALIDATION_FAILED"},
		{"too deep", w.alice, `{ trips { nodes { ` + deep + ` } } }`, nil, invalid, "QUERY_TOO_DEEP"},
		{"too many aliases", w.alice, "{" + aliases.String() + " }", nil, invalid, "TOO_MANY_ALIASES"},
		{"too many tokens", w.alice, "{" + strings.Repeat(" viewer { scopes }", 2000) + " }", nil, invalid, "TOO_MANY_TOKENS"},
		{"a fragment of itself", w.alice, `{ ...f } fragment f on Query { ...f }`, nil, failed, "VALIDATION_FAILED"},
		{"not signed in", "", `{ trips { totalCount } }`, nil, "UNAUTHENTICATED", "SIGN_IN_REQUIRED"},
		{"a member asks for jobs", w.alice, `{ jobs { totalCount } }`, nil, "PERMISSION_DENIED", "SCOPE_MISSING"},
		{"a member asks for jobs by the way", w.alice, `query($id: ID!) { device(id: $id) { jobs { totalCount } } }`, harness.Vars{"id": w.vehicle}, "PERMISSION_DENIED", "SCOPE_MISSING"},
		{"a member makes a job", w.alice, `mutation { createJob(input: {name: "x", kind: "log", payload: {message: "x"}}) { id } }`, nil, "PERMISSION_DENIED", "SCOPE_MISSING"},
		{"an operator registers a device", w.operator, `mutation { registerDevice(input: {name: "x", kind: SENSOR}) { device { id } } }`, nil, "PERMISSION_DENIED", "SCOPE_MISSING"},
		{"a key without the scope", p.APIKey, `mutation($id: ID!) { deleteDevice(id: $id) }`, harness.Vars{"id": w.vehicle}, "PERMISSION_DENIED", "SCOPE_MISSING"},
	})
}

// testValues sends values that no rule allows.
func testValues(t *testing.T, p *harness.Program, w *witness) {
	const invalid, field = "INVALID_ARGUMENT", "INVALID_FIELD"
	const startAt = `mutation($input: StartTripInput!) { startTrip(input: $input) { id } }`
	const job = `mutation($input: CreateJobInput!) { createJob(input: $input) { id } }`
	const device = `mutation($input: RegisterDeviceInput!) { registerDevice(input: $input) { device { id } } }`
	const activity = `mutation($input: RecordActivityInput!) { recordActivity(input: $input) { id } }`
	trip := func(vehicle string, latitude any) harness.Vars {
		return harness.Vars{"input": harness.Vars{"vehicleId": vehicle, "position": harness.Vars{"latitude": latitude, "longitude": 0}}}
	}
	refuseAll(t, p, []refused{
		{"no id", w.alice, `{ trip(id: "x") { id } }`, nil, invalid, field},
		{"the id of a device for a trip", w.alice, `query($id: ID!) { trip(id: $id) { id } }`, harness.Vars{"id": w.vehicle}, invalid, field},
		{"an unknown device", w.alice, `{ device(id: "device_00000000000000000000000000") { id } }`, nil, "NOT_FOUND", "NOT_FOUND"},
		{"an unknown job", w.operator, `{ job(id: "job_00000000000000000000000000") { id } }`, nil, "NOT_FOUND", "NOT_FOUND"},
		{"a page of none", w.alice, `{ trips(first: 0) { totalCount } }`, nil, invalid, field},
		{"a page of too many", w.alice, `{ trips(first: 1001) { totalCount } }`, nil, invalid, field},
		{"a cursor of nowhere", w.alice, `{ trips(after: "zzzz") { totalCount } }`, nil, invalid, field},
		{"too many nodes", w.alice, `query($ids: [ID!]!) { nodes(ids: $ids) { id } }`, harness.Vars{"ids": strings.Split(strings.Repeat("x,", 1000), ",")}, invalid, field},
		{"a latitude beyond the pole", w.alice, startAt, trip(w.vehicle, 90.001), invalid, field},
		{"an infinite latitude", w.alice, startAt, trip(w.vehicle, json.Number("1e400")), "GRAPHQL_VALIDATION_FAILED", "VALIDATION_FAILED"},
		{"a trip on a sensor", w.admin, startAt, trip(w.sensor, 1), invalid, "NOT_A_VEHICLE"},
		{"a trip on nothing", w.alice, startAt, trip("device_00000000000000000000000000", 1), "NOT_FOUND", "NOT_FOUND"},
		{"a cron that is none", w.operator, job, harness.Vars{"input": harness.Vars{"name": "x", "kind": "log", "payload": harness.Vars{"message": "x"}, "cron": "every day"}}, invalid, field},
		{"a job of no kind", w.operator, job, harness.Vars{"input": harness.Vars{"name": "x", "kind": "shell", "payload": harness.Vars{}}}, invalid, field},
		{"a webhook to this machine", w.operator, job, harness.Vars{"input": harness.Vars{"name": "x", "kind": "webhook", "payload": harness.Vars{"url": p.URL}}}, invalid, field},
		{"a name with a line break", w.admin, device, harness.Vars{"input": harness.Vars{"name": "a\nb", "kind": "SENSOR"}}, invalid, field},
		{"a name that is too long", w.admin, device, harness.Vars{"input": harness.Vars{"name": strings.Repeat("ä", 201), "kind": "SENSOR"}}, invalid, field},
		{"labels that are a list", w.admin, device, harness.Vars{"input": harness.Vars{"name": "x", "kind": "SENSOR", "labels": []int{1}}}, invalid, field},
		{"no water", w.alice, `mutation { recordWater(input: {amountMl: 0}) { id } }`, nil, invalid, field},
		{"a link to a script", w.alice, activity, harness.Vars{"input": harness.Vars{"kind": "NOTE", "title": "x", "links": []harness.Vars{{"url": "javascript:alert(1)"}}}}, invalid, field},
		{"an end before the start", w.alice, activity, harness.Vars{"input": harness.Vars{"kind": "NOTE", "title": "x", "startedAt": "2026-01-02T00:00:00Z", "endedAt": "2026-01-01T00:00:00Z"}}, invalid, field},
		{"a scope that there is not", w.admin, `mutation { createApiKey(input: {name: "x", scopes: ["root"]}) { secret } }`, nil, invalid, field},
	})
}

// testForeign asks for bob's trip as alice: she is told what she would be told of a trip that there is not.
func testForeign(t *testing.T, p *harness.Program, w *witness) {
	const unknown = "trip_00000000000000000000000000"
	for _, query := range []string{
		`query($id: ID!) { it: trip(id: $id) { id } }`,
		`query($id: ID!) { it: node(id: $id) { id } }`,
		`query($id: ID!) { it: nodes(ids: [$id]) { id } }`,
		`mutation($id: ID!) { it: endTrip(tripId: $id) { id } }`,
		`mutation($id: ID!) { it: endTrip(tripId: $id, expectedVersion: 1) { id } }`,
		`mutation($id: ID!) { it: reportPosition(tripId: $id, position: {latitude: 1, longitude: 1}) { id } }`,
	} {
		told := func(id string) harness.GraphQLError {
			a := p.Execute(t, w.alice, query, harness.Vars{"id": id})
			e := harness.RequireError(t, a, "NOT_FOUND", "NOT_FOUND")
			e.Message, e.Extensions.RequestID = strings.ReplaceAll(e.Message, id, "ID"), ""
			return e
		}
		if theirs, none := told(w.bobsTrip), told(unknown); !reflect.DeepEqual(theirs, none) {
			t.Errorf("%s tells a trip of another (%v) from none (%v)", query, theirs, none)
		}
	}
	seen := harness.TripsOf(t, p, w.alice, 10, w.vehicle)
	if len(seen) != 0 {
		t.Errorf("alice sees trips of bob: %+v", seen)
	}
}
