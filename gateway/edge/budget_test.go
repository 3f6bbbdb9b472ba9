package edge_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/sluicehq/sluice/bff/quota"
	"github.com/sluicehq/sluice/gateway/edge"
)

// points are budgets of which one is small enough to be spent.
func points() *quota.Options { return &quota.Options{Account: 1000, Anonymous: 100, InFlight: 2} }

// cost is extensions.cost.
type cost struct {
	Requested, Actual, Limit, Remaining int
	RestorePerSecond                    float64
}

func (a answer) cost(t *testing.T) *cost {
	t.Helper()
	var read struct{ Extensions struct{ Cost *cost } }
	if err := json.Unmarshal([]byte(a.text), &read); err != nil {
		t.Fatal(err)
	}
	return read.Extensions.Cost
}

func TestAnswersTellTheBudget(t *testing.T) {
	t.Parallel()
	h := openCounting(t, points())
	who := h.signIn(t, "alice")
	a := h.do(t, post(query("{ viewer { budget { limit remaining restorePerSecond } account { name } } }"), "Authorization", who))
	if want := `"budget":{"limit":1000,"remaining":998,"restorePerSecond":16.666666666666668}`; !strings.Contains(string(a.Data), want) {
		t.Errorf("answered %s, want %s", a.Data, want)
	}
	for name, want := range map[string]string{
		"RateLimit-Policy": `"points";q=1000;qu="points";w=60`,
		"RateLimit":        `"points";r=998;t=1`,
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if a.cost(t) != nil {
		t.Errorf("nobody asked, and there is extensions.cost: %s", a.text)
	}
	a = h.do(t, post(query("{ viewer { account { name } } }"), "Authorization", who, "Sluice-Cost", "1"))
	if got, want := a.cost(t), (cost{Requested: 2, Actual: 2, Limit: 1000, Remaining: 996, RestorePerSecond: 1000.0 / 60}); got == nil || *got != want {
		t.Errorf("extensions.cost is %+v, want %+v", got, want)
	}
}

func TestAKeySpendsByItsOwnLimit(t *testing.T) {
	t.Parallel()
	h := openCounting(t, points())
	secret := h.apiKey(t, `pointsPerMinute: 30`)
	a := h.do(t, post(query("{ viewer { scopes } }"), "X-API-Key", secret))
	if got, want := a.cost(t), (cost{Requested: 1, Actual: 1, Limit: 30, Remaining: 29, RestorePerSecond: 0.5}); got == nil || *got != want {
		t.Errorf("extensions.cost is %+v, want %+v", got, want)
	}
	a = h.do(t, post(query("{ trips(first: 30) { nodes { id } } }"), "X-API-Key", secret))
	if a.extension("reason") != "QUERY_TOO_EXPENSIVE" || a.code() != "INVALID_ARGUMENT" || len(a.Data) > 0 {
		t.Errorf("more than the whole budget: %s", a.text)
	}
	if got := a.cost(t); got == nil || got.Requested != 31 || got.Actual != 0 || got.Remaining != 29 {
		t.Errorf("more than the whole budget: %+v", got)
	}
}

// apiKey makes a key with a clause of CreateApiKeyInput.
func (h *environment) apiKey(t testing.TB, clause string) string {
	t.Helper()
	made := h.do(t, post(query(`mutation { createApiKey(input: {name: "x", scopes: ["trip:read"], `+clause+`}) { secret } }`),
		"Authorization", h.signIn(t, "admin")))
	var data struct{ CreateApiKey struct{ Secret string } }
	if err := json.Unmarshal(made.Data, &data); err != nil || data.CreateApiKey.Secret == "" {
		t.Fatalf("make a key: %v: %s", err, made.text)
	}
	return data.CreateApiKey.Secret
}

func TestASpentBudget(t *testing.T) {
	t.Parallel()
	h := openCounting(t, points())
	secret := h.apiKey(t, `pointsPerMinute: 30`)
	spend := query("{ trips(first: 19) { nodes { id } } }")
	for range 20 { // each finds nobody, and costs 1 in the end
		h.do(t, post(query("{ trips { pageInfo { hasNextPage } } }"), "X-API-Key", secret))
	}
	for accept, status := range map[string]int{acceptGraphQL: http.StatusTooManyRequests, acceptJSON: http.StatusOK} {
		a := h.do(t, post(spend, "X-API-Key", secret, "Accept", accept))
		if a.status != status || a.code() != "RESOURCE_EXHAUSTED" || a.extension("reason") != "BUDGET_EXHAUSTED" || len(a.Data) > 0 {
			t.Fatalf("%s: answered %d %s", accept, a.status, a.text)
		}
		if wait := a.Errors[0].Extensions["retryAfterMs"]; wait != 20_001.0 || a.Errors[0].Extensions["retryable"] != true {
			t.Errorf("%s: come back in %v ms", accept, wait)
		}
		if got := a.header.Get("Retry-After"); got != "21" {
			t.Errorf("%s: Retry-After is %q", accept, got)
		}
		if got := a.header.Get("RateLimit"); got != `"points";r=10;t=21` {
			t.Errorf("%s: RateLimit is %q", accept, got)
		}
		if got := a.cost(t); got == nil || got.Requested != 20 || got.Actual != 0 || got.Remaining != 10 {
			t.Errorf("%s: extensions.cost is %+v", accept, got)
		}
	}
	h.clock.Advance(20 * time.Second)
	if a := h.do(t, post(spend, "X-API-Key", secret)); a.code() == "RESOURCE_EXHAUSTED" {
		t.Errorf("when told to come back: %s", a.text)
	}
}

func TestTheLargestCost(t *testing.T) {
	t.Parallel()
	h := openCounting(t, &quota.Options{Account: 1 << 30, Anonymous: 100, InFlight: 2})
	who := h.signIn(t, "alice")
	many := `{"query": "query($n: Int) { trips(first: $n) { nodes { id } } }", "variables": {"n": `
	if a := h.do(t, post(many+`9999}}`, "Authorization", who)); a.extension("reason") == "QUERY_TOO_EXPENSIVE" {
		t.Errorf("10,000 points are refused: %s", a.text)
	}
	a := h.do(t, post(many+`10000}}`, "Authorization", who))
	if a.extension("reason") != "QUERY_TOO_EXPENSIVE" || a.code() != "INVALID_ARGUMENT" || len(a.Data) > 0 {
		t.Errorf("10,001 points are answered %s", a.text)
	}
}

// What did not run costs nothing; what cannot be answered as it was sent costs a point.
func TestWhatIsNotRun(t *testing.T) {
	t.Parallel()
	h := openCounting(t, points())
	who := h.signIn(t, "alice")
	logout := "/graphql?query=" + url.QueryEscape("mutation { logout }")
	late, over := context.WithTimeout(t.Context(), -1)
	defer over()
	cases := []struct {
		name    string
		request *http.Request
		want    int // points
	}{
		{"a mutation over GET", httptest.NewRequest(http.MethodGet, logout, nil), 1},
		{"something that alice may not see", post(query("{ jobs { nodes { id } } }")), 1},
		{"a document that does not read", post(query("{ viewer {")), 1},
		{"a field that is not there", post(query("{ nothing }")), 1},
		{"a body that is no JSON", post("nonsense"), 1},
		{"a request whose time is over", post(query("{ viewer { account { name } } }")).WithContext(late), 0},
	}
	left := 1000
	for _, c := range cases {
		a := h.do(t, with(c.request, "Authorization", who))
		left -= c.want
		if _, after, _ := strings.Cut(a.header.Get("RateLimit"), "r="); !strings.HasPrefix(after, number(left)+";") {
			t.Errorf("%s: RateLimit is %q, want %d left", c.name, a.header.Get("RateLimit"), left)
		}
	}
}

func number(n int) string {
	text, _ := json.Marshal(n) // numbers always encode
	return string(text)
}

// Whoever floods the gate with nonsense ends up without a budget, too.
func TestNonsenseIsPaidFor(t *testing.T) {
	t.Parallel()
	h := openCounting(t, points())
	for _, body := range []string{query("{ viewer {"), query("{ nothing }"), "nonsense", query("query A { __typename } query B { __typename }")} {
		request := func() *http.Request { return with(post(body, "Accept", acceptGraphQL)) }
		for range 25 {
			if a := h.do(t, request()); a.status != http.StatusBadRequest {
				t.Fatalf("answered %d %s", a.status, a.text)
			}
		}
	}
	for _, body := range []string{query("{ viewer {"), "nonsense", query("query A { __typename } query B { __typename }")} {
		a := h.do(t, post(body, "Accept", acceptGraphQL))
		if a.status != http.StatusTooManyRequests || a.extension("reason") != "BUDGET_EXHAUSTED" || a.header.Get("Retry-After") != "1" {
			t.Errorf("answered %d %s", a.status, a.text)
		}
	}
}

// Guessing codes is slow: a sign-in costs 10, and an address has few points.
func TestSignInsAreFew(t *testing.T) {
	t.Parallel()
	h := openCounting(t, points())
	login := func(address string) answer {
		r := post(query(`mutation { login(input: {provider: DEMO, code: "guess"}) { accessToken } }`))
		r.RemoteAddr = address
		return h.do(t, r)
	}
	for range 10 {
		if a := login("192.0.2.1:1000"); a.extension("reason") != "LOGIN_REFUSED" {
			t.Fatalf("answered %s", a.text)
		}
	}
	if a := login("192.0.2.1:2000"); a.extension("reason") != "BUDGET_EXHAUSTED" {
		t.Errorf("the eleventh is answered %s", a.text)
	}
	if a := login("192.0.2.2:1000"); a.extension("reason") != "LOGIN_REFUSED" {
		t.Errorf("somebody else is answered %s", a.text)
	}
}

func TestAddressBehindProxies(t *testing.T) {
	t.Parallel()
	trusting := func(_ *edge.Parts, o *edge.Options) {
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	}
	// Each pair comes from one address, or from two.
	type hop struct{ peer, forwarded string }
	cases := []struct {
		name         string
		one, another hop
		same         bool
	}{
		{"two clients of a proxy", hop{"10.0.0.1:1", "192.0.2.1"}, hop{"10.0.0.1:1", "192.0.2.2"}, false},
		{"a client of two proxies", hop{"10.0.0.1:1", "192.0.2.1"}, hop{"[fd00::1]:1", "192.0.2.1"}, true},
		{"a client by way of two", hop{"10.0.0.1:1", "192.0.2.1, 10.0.0.2"}, hop{"10.0.0.1:1", "192.0.2.1"}, true},
		{"a client that makes up hops", hop{"10.0.0.1:1", "198.51.100.7, 192.0.2.1"}, hop{"10.0.0.1:1", "198.51.100.8, 192.0.2.1"}, true},
		{"nobody's proxy", hop{"192.0.2.9:1", "192.0.2.1"}, hop{"192.0.2.9:1", "192.0.2.2"}, true},
		{"hops that do not read", hop{"10.0.0.1:1", "unknown"}, hop{"10.0.0.1:1", "none, of these"}, true},
		{"no hops", hop{"10.0.0.1:1", ""}, hop{"10.0.0.1:1", ""}, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := openCounting(t, points(), trusting)
			ask := func(from hop) string {
				r := post(query("{ __typename }"))
				r.RemoteAddr = from.peer
				if from.forwarded != "" {
					r.Header.Set("X-Forwarded-For", from.forwarded)
				}
				return h.do(t, r).header.Get("RateLimit")
			}
			ask(c.one)
			want := `"points";r=99;t=1`
			if c.same {
				want = `"points";r=98;t=2`
			}
			if got := ask(c.another); got != want {
				t.Errorf("RateLimit is %s, want %s", got, want)
			}
		})
	}
}

func TestRequestsInFlight(t *testing.T) {
	t.Parallel()
	h := openCounting(t, points())
	entered, goOn := make(chan struct{}), make(chan struct{})
	h.graphQL.AroundOperations(func(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
		if graphql.GetOperationContext(ctx).Operation.Name == "Slow" {
			entered <- struct{}{}
			<-goOn
		}
		return next(ctx)
	})
	var slow sync.WaitGroup
	for range 2 {
		slow.Go(func() { h.fetch(post(query("query Slow { __typename }"))) })
		<-entered
	}
	a := h.do(t, post(query("{ __typename }")))
	if a.status != http.StatusTooManyRequests || a.code() != "RESOURCE_EXHAUSTED" || a.extension("reason") != "TOO_MANY_REQUESTS_IN_FLIGHT" || a.header.Get("Retry-After") != "1" {
		t.Errorf("a third is answered %d %s", a.status, a.text)
	}
	elsewhere := post(query("{ __typename }"))
	elsewhere.RemoteAddr = "192.0.2.77:1"
	if a := h.do(t, elsewhere); a.status != http.StatusOK {
		t.Errorf("somebody else is answered %d %s", a.status, a.text)
	}
	close(goOn)
	slow.Wait()
	if a := h.do(t, post(query("{ __typename }"))); a.status != http.StatusOK {
		t.Errorf("when the others have ended: %d %s", a.status, a.text)
	}
}
