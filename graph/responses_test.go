package graph_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/bff/persisted"
	"github.com/sluicehq/sluice/graph/pipeline"
)

// asks is a gateway that keeps whole answers, and what is asked of it.
type asks struct {
	environment *environment
	gateway     http.Handler
}

func openCached(t *testing.T) (*asks, []who) {
	t.Helper()
	h, callers := demo(t)
	ports, responses, _ := h.cached(t, h.ports())
	return &asks{h, h.gateway(ports, pipeline.Options{Admission: charging(plenty{}), Logger: silent(), Persisted: documentRegistry(t), Responses: responses}, 2*time.Minute)}, callers
}

// ask asks by the name of a document, or with its text alone; and tells by extensions.cache whether the
// answer was kept as a whole.
func (a *asks) ask(t *testing.T, w who, query string, variables map[string]any, named bool) (answer *httptest.ResponseRecorder, whole bool) {
	t.Helper()
	return a.askIn(t, t.Context(), w, query, variables, named)
}

func (a *asks) askIn(t *testing.T, ctx context.Context, w who, query string, variables map[string]any, named bool) (answer *httptest.ResponseRecorder, whole bool) {
	t.Helper()
	asked := map[string]any{"query": query, "variables": variables}
	if named {
		asked["extensions"] = map[string]any{"persistedQuery": map[string]any{"version": 1, "sha256Hash": persisted.Hash(query)}}
	}
	body, err := json.Marshal(asked)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/graphql", strings.NewReader(string(body)))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(pipeline.CacheHeader, "1")
	r.Header.Set(w.header, w.secret)
	answer = httptest.NewRecorder()
	a.gateway.ServeHTTP(answer, r)
	return answer, strings.Contains(answer.Body.String(), `"cachedResponse":true`)
}

const trucks = `query Trucks($n: Int!) { devices(first: $n) { nodes { id name version } } }`

func TestAWholeAnswerIsKept(t *testing.T) {
	t.Parallel()
	a, callers := openCached(t)
	admin, operator := callers[0], callers[1]
	two, three := map[string]any{"n": 2}, map[string]any{"n": 3}
	for _, c := range []struct {
		name      string
		by        who
		query     string
		variables map[string]any
		named     bool
		whole     bool
		control   string
	}{
		{"the first time", admin, trucks, two, true, false, "private, max-age=5"},
		{"again", admin, trucks, two, true, true, "private, max-age=5"},
		{"with other variables", admin, trucks, three, true, false, "private, max-age=5"},
		{"somebody else", operator, trucks, two, true, false, "private, max-age=5"},
		{"somebody else again", operator, trucks, two, true, true, "private, max-age=5"},
		{"without a name", operator, trucks, two, false, false, "private, max-age=5"},
		{"who asks", operator, `{ viewer { scopes } devices(first: 1) { nodes { id } } }`, nil, true, false, "no-store"},
		{"who asks, again", operator, `{ viewer { scopes } devices(first: 1) { nodes { id } } }`, nil, true, false, "no-store"},
		{"with an error", operator, `{ device(id: "device_01jd2k0f3qe8x9w5t7v6m4n2p0") { id } }`, nil, true, false, "no-store"},
		{"with an error, again", operator, `{ device(id: "device_01jd2k0f3qe8x9w5t7v6m4n2p0") { id } }`, nil, true, false, "no-store"},
		{"what cannot be kept", operator, `{ devices(first: 1) { nodes { commands(first: 1) { nodes { id } } } } }`, nil, true, false, "no-store"},
		{"what cannot be kept, again", operator, `{ devices(first: 1) { nodes { commands(first: 1) { nodes { id } } } } }`, nil, true, false, "no-store"},
	} {
		answer, whole := a.ask(t, c.by, c.query, c.variables, c.named)
		if whole != c.whole || answer.Header().Get("Cache-Control") != c.control {
			t.Errorf("%s: kept %v, %q, want %v, %q: %.300s", c.name, whole, answer.Header().Get("Cache-Control"), c.whole, c.control, answer.Body)
		}
	}
}

func TestWhatEndsAWholeAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end  func(t *testing.T, a *asks, admin who)
		ends bool
	}{
		"time":                         {func(_ *testing.T, a *asks, _ who) { a.environment.clock.Advance(5 * time.Second) }, true},
		"less time":                    {func(_ *testing.T, a *asks, _ who) { a.environment.clock.Advance(4 * time.Second) }, false},
		"a write of what it shows":     {write(`mutation { registerDevice(input: {name: "new", kind: VEHICLE}) { device { id } } }`), true},
		"a write of something else":    {write(`mutation { recordWater(input: {amountMl: 1}) { id } }`), false},
		"a write that says no":         {write(`mutation { deleteDevice(id: "device_01jd2k0f3qe8x9w5t7v6m4n2p0") }`), true},
		"a mutation that only reads":   {write(`mutation { logout }`), false},
		"somebody else who writes too": {write(`mutation { a: registerDevice(input: {name: "new", kind: VEHICLE}) { device { id } } recordWater(input: {amountMl: 1}) { id } }`), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, callers := openCached(t)
			variables := map[string]any{"n": 100}
			before, _ := a.ask(t, callers[1], trucks, variables, true)
			if _, whole := a.ask(t, callers[1], trucks, variables, true); !whole {
				t.Fatalf("not kept: %.300s", before.Body)
			}
			c.end(t, a, callers[0])
			if _, whole := a.ask(t, callers[1], trucks, variables, true); whole == c.ends {
				t.Errorf("kept: %v", whole)
			}
		})
	}
}

func write(mutation string) func(t *testing.T, a *asks, admin who) {
	return func(t *testing.T, a *asks, admin who) {
		t.Helper()
		a.ask(t, admin, mutation, nil, false)
	}
}
