package edge_test

import (
	"cmp"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/abuse"
	"github.com/sluicehq/sluice/bff/quota"
	"github.com/sluicehq/sluice/gateway/edge/fastreject"
)

// flood is a caller that spent its budget and does not listen.
type flood struct {
	*environment
	dear    func() *http.Request
	refused answer // before it was shut out
}

// floods open an environment for each kind of caller, and block the caller.
const dear = "{ trips(first: 19) { nodes { id } } }" // more than half of the budget

func floods() map[string]func(t testing.TB, changes ...change) *flood {
	by := func(request func(t testing.TB, h *environment) func() *http.Request) func(testing.TB, ...change) *flood {
		return func(t testing.TB, changes ...change) *flood {
			h := openCounting(t, &quota.Options{Account: 30, Anonymous: 30, InFlight: 2}, changes...)
			f := &flood{environment: h, dear: request(t, h)}
			f.spend(t)
			return f
		}
	}
	return map[string]func(testing.TB, ...change) *flood{
		"a key": by(func(t testing.TB, h *environment) func() *http.Request {
			secret := h.apiKey(t, `pointsPerMinute: 30`)
			return func() *http.Request { return post(query(dear), "X-API-Key", secret, "Accept", acceptGraphQL) }
		}),
		"an account": by(func(t testing.TB, h *environment) func() *http.Request {
			who := h.signIn(t, "alice")
			return func() *http.Request { return post(query(dear), "Authorization", who, "Accept", acceptGraphQL) }
		}),
		"nobody": by(func(testing.TB, *environment) func() *http.Request {
			return func() *http.Request { return post("nonsense", "Accept", acceptGraphQL) }
		}),
		"nobody's page": by(func(testing.TB, *environment) func() *http.Request {
			return func() *http.Request { return get(url.Values{"query": {"{ __typename"}}, "Accept", acceptGraphQL) }
		}),
	}
}

func (f *flood) spend(t testing.TB) {
	t.Helper()
	for range 1000 {
		a := f.do(t, f.dear())
		if strings.Contains(a.text, "keep retrying") {
			return
		}
		f.refused = a
	}
	t.Fatalf("never shut out: %d %s", f.refused.status, f.refused.text)
}

// untouched is a body that nobody may read.
type untouched struct{ t *testing.T }

func (u untouched) Read([]byte) (int, error) {
	u.t.Error("the body is read")
	return 0, io.EOF
}

// Whoever keeps coming back early is told the same as before, without a look at what it asks.
func TestBlockedCallerIsRefusedUnread(t *testing.T) {
	t.Parallel()
	for name, open := range floods() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := open(t)
			request := f.dear()
			if request.Method == http.MethodPost {
				request.Body = io.NopCloser(untouched{t})
			}
			logged := len(f.log.String())
			a := f.do(t, request)
			if len(f.log.String()) != logged {
				t.Errorf("it is written down: %s", f.log.String()[logged:])
			}
			if a.status != http.StatusTooManyRequests || len(a.Data) > 0 || !maps.Equal(kinds(a.Errors[0].Extensions), kinds(f.refused.Errors[0].Extensions)) {
				t.Errorf("answered %d %s, and before %s", a.status, a.text, f.refused.text)
			}
			for _, name := range []string{"code", "reason", "retryable", "retryAfterMs"} {
				if got, want := a.Errors[0].Extensions[name], f.refused.Errors[0].Extensions[name]; got != want {
					t.Errorf("%s is %v, and was %v", name, got, want)
				}
			}
			for _, name := range []string{"Retry-After", "RateLimit", "RateLimit-Policy", "Content-Type", "Cache-Control", "Content-Security-Policy", "X-Content-Type-Options"} {
				if got, want := a.header.Get(name), f.refused.header.Get(name); got != want || want == "" {
					t.Errorf("%s is %q, and was %q", name, got, want)
				}
			}
			if id := a.header.Get("X-Request-Id"); id == "" || id != a.extension("requestId") {
				t.Errorf("the error is of request %q, the answer of %q", a.extension("requestId"), id)
			}
			if got, was := a.cost(t), f.refused.cost(t); (got == nil) != (was == nil) || got != nil && (got.Limit != was.Limit || got.Remaining != was.Remaining || got.RestorePerSecond != was.RestorePerSecond) {
				t.Errorf("extensions.cost is %+v, and was %+v", got, was)
			}
		})
	}
}

// kinds are the names of extensions.
func kinds(extensions map[string]any) map[string]bool {
	names := map[string]bool{}
	for name := range extensions {
		names[name] = true
	}
	return names
}

func TestRefusalOfTheBlockListIsComplete(t *testing.T) {
	t.Parallel()
	all := map[string]*flood{}
	for name, open := range floods() {
		all[name] = open(t)
	}
	for _, c := range []struct {
		name, of string
		headers  []string
		status   int
		want     http.Header
	}{
		{"JSON", "a key", []string{"Accept", acceptJSON}, 200, http.Header{"Content-Type": {acceptJSON + "; charset=utf-8"}}},
		{"no wish", "an account", []string{"Accept", ""}, 200, http.Header{"Content-Type": {acceptJSON + "; charset=utf-8"}}},
		{"a stream", "a key", []string{"Accept", "text/event-stream"}, 429, http.Header{"Content-Type": {acceptJSON + "; charset=utf-8"}}},
		{"an id", "a key", []string{"X-Request-Id", "mine"}, 429, http.Header{"X-Request-Id": {"mine"}}},
		{"an id that is none", "a key", []string{"X-Request-Id", `m"ine`}, 429, nil},
		{"the price", "an account", []string{"Sluice-Cost", "1"}, 429, nil},
		{"a page that may ask", "a key", []string{"Origin", "https://app.test"}, 429, http.Header{
			"Access-Control-Allow-Origin": {"https://app.test"}, "Cross-Origin-Resource-Policy": {"cross-origin"},
		}},
		{"a page that may not", "a key", []string{"Origin", "https://evil.test"}, 429, http.Header{"Access-Control-Allow-Origin": nil}},
		{"what a browser may show", "nobody's page", nil, 429, http.Header{
			"X-Frame-Options": {"DENY"}, "Referrer-Policy": {"no-referrer"}, "Cross-Origin-Opener-Policy": {"same-origin"},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := all[c.of].do(t, with(all[c.of].dear(), c.headers...))
			if a.status != c.status || a.extension("reason") != "BUDGET_EXHAUSTED" || !strings.Contains(a.text, "keep retrying") {
				t.Errorf("answered %d %s", a.status, a.text)
			}
			for name, want := range c.want {
				if got := a.header.Values(name); !slices.Equal(got, want) {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			if (a.cost(t) != nil) != (c.of == "a key" || slices.Contains(c.headers, "Sluice-Cost")) {
				t.Errorf("extensions.cost: %s", a.text)
			}
		})
	}
}

// The block list refuses the blocked caller only, on the API only, until the time of Retry-After.
func TestBlockListPassesOtherCallersAndPaths(t *testing.T) {
	t.Parallel()
	for name, open := range floods() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := open(t)
			passes := func(who string, r *http.Request) {
				t.Helper()
				if a := f.fetch(r); strings.Contains(a.text, "keep retrying") {
					t.Errorf("%s: %d %s", who, a.status, a.text)
				}
			}
			elsewhere := post(query("{ __typename }"))
			elsewhere.RemoteAddr = "198.51.100.7:1"
			passes("somebody else", elsewhere)
			upgrade := with(f.dear(), "Upgrade", "websocket", "Connection", "Upgrade") // passes the block list, then admission asks it again
			if a := f.fetch(upgrade); a.status != http.StatusTooManyRequests || a.header.Get("X-Content-Type-Options") == "" {
				t.Errorf("an upgrade: %d %s", a.status, a.text)
			}
			passes("what does not hold", with(post(query("{ __typename }")), "X-API-Key", "sesame"))
			passes("health", at("/healthz"))
			f.clock.Advance(f.told())
			passes("when it was told to", f.dear())
		})
	}
}

// told is the longest that the caller may have been told to wait.
func (f *flood) told() time.Duration {
	ms, _ := f.refused.Errors[0].Extensions["retryAfterMs"].(float64)
	return time.Duration(ms) * time.Millisecond
}

// Refusals by the block list are told of like all others.
func TestRefusalsOfTheBlockListAreCounted(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	watched := abuse.New(abuse.Options{
		Window: time.Minute, Failures: 10_000, Repeats: 100, OpenFor: time.Second, Kept: 100, Key: quota.Key, Registry: registry,
	})
	h := openInside(t, &quota.Options{Account: 30, Anonymous: 30, InFlight: 2}, func(o *inside) { o.admit.Abuse = watched })
	secret := h.apiKey(t, `pointsPerMinute: 30`)
	f := &flood{environment: h, dear: func() *http.Request { return post(query(dear), "X-API-Key", secret, "Accept", acceptGraphQL) }}
	f.spend(t)
	before := refusals(t, watched)
	for range 50 {
		f.fetch(f.dear())
	}
	after := refusals(t, watched)
	if after-before != 50 {
		t.Errorf("callers tells of %d refusals, want 50", after-before)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	total := 0.0
	for _, family := range families {
		for _, one := range family.GetMetric() {
			if family.GetName() == "sluice_refusals_total" && one.GetLabel()[0].GetValue() == "BUDGET_EXHAUSTED" {
				total += one.GetCounter().GetValue()
			}
		}
	}
	if int(total) < after {
		t.Errorf("metrics tell of %.0f refusals, callers of %d", total, after)
	}
}

// refusals are those of the caller that is refused most.
func refusals(t *testing.T, watched *abuse.Callers) int {
	t.Helper()
	all, err := watched.Usage(t.Context(), bff.LastDay)
	if err != nil || len(all) == 0 {
		t.Fatalf("callers: %v, %v", all, err)
	}
	most := slices.MaxFunc(all, func(a, b *bff.CallerUsage) int { return cmp.Compare(a.Refused, b.Refused) })
	if most.Kind != bff.CallerAPIKey || len(most.Refusals) != 1 || most.Refusals[0].Reason != "BUDGET_EXHAUSTED" {
		t.Errorf("callers tells of %+v", most)
	}
	return most.Refused
}

// What comes again and again on one connection is told the same by the connection as by the block list.
func TestRepeatedRequestOnOneConnectionGetsTheSameRefusal(t *testing.T) {
	t.Parallel()
	for name, open := range floods() {
		for _, own := range []string{"", "mine"} {
			t.Run(name+own, func(t *testing.T) {
				t.Parallel()
				f := open(t)
				inside, address := f.serve(t)
				client := &http.Client{Transport: &http.Transport{}}
				t.Cleanup(client.CloseIdleConnections)
				ask := func() answer {
					t.Helper()
					request := with(f.dear(), "Origin", "https://app.test", "X-Request-Id", own)
					request.URL.Scheme, request.URL.Host, request.RequestURI = "http", address, ""
					response, err := client.Do(request)
					if err != nil {
						t.Fatal(err)
					}
					defer response.Body.Close()
					a := answer{status: response.StatusCode, header: response.Header}
					text, _ := io.ReadAll(response.Body)
					if a.text = string(text); json.Unmarshal(text, &a) != nil {
						t.Fatalf("answered %d %s", a.status, text)
					}
					return a
				}
				for range 300 {
					ask() // the network is another here, and has to be shut out first
				}
				a, before := answer{}, int64(-1)
				for tries := 0; inside.Load() != before; tries++ { // a busy client opens a connection now and then
					if before = inside.Load(); tries == 100 {
						t.Fatal("the block list is asked each time")
					}
					a = ask()
				}
				recorder := httptest.NewRecorder()
				again := with(f.dear(), "Origin", "https://app.test", "X-Request-Id", own)
				again.RemoteAddr = "127.0.0.1:1"
				f.ServeHTTP(recorder, again)
				want := answer{status: recorder.Code, header: recorder.Header(), text: recorder.Body.String()}
				if a.status != want.status || varying.ReplaceAllString(a.text, "-") != varying.ReplaceAllString(want.text, "-") {
					t.Errorf("answered %d %s, and by the block list %d %s", a.status, a.text, want.status, want.text)
				}
				if id := a.header.Get("X-Request-Id"); id == "" || id != a.extension("requestId") || own != "" && id != own || id == ask().header.Get("X-Request-Id") && own == "" {
					t.Errorf("the error is of request %q, the answer of %q", a.extension("requestId"), id)
				}
				for _, one := range []string{"Date", "Content-Length", "X-Request-Id"} {
					if a.header.Get(one) == "" {
						t.Errorf("%s is missing", one)
					}
					a.header.Del(one)
					want.header.Del(one)
				}
				if !reflect.DeepEqual(a.header, want.header) {
					t.Errorf("answered with %v, and by the block list with %v", a.header, want.header)
				}
				f.clock.Advance(f.told())
				if a := ask(); inside.Load() == before || strings.Contains(a.text, "keep retrying") {
					t.Errorf("when it was told to: %d %s", a.status, a.text)
				}
			})
		}
	}
}

// varying is what no two refusals share.
var varying = regexp.MustCompile(`"requestId":"[^"]*"`)

// serve answers on a port, and counts the requests that reach the block list.
func (f *flood) serve(t *testing.T) (inside *atomic.Int64, address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	inside = &atomic.Int64{}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inside.Add(1)
		f.ServeHTTP(w, r)
	})}
	ended := make(chan error)
	go func() { ended <- fastreject.Serve(server, listener, time.Minute) }()
	t.Cleanup(func() {
		_ = server.Close()
		<-ended
	})
	return inside, listener.Addr().String()
}

// blank is a writer that costs nothing.
type blank struct{ header http.Header }

func (b blank) Header() http.Header         { return b.header }
func (b blank) WriteHeader(int)             {}
func (b blank) Write(p []byte) (int, error) { return len(p), nil }

// What a refusal costs by the block list, by what it allocates: that is the same on every machine. A few texts
// for the answer, and nothing for the question.
func TestWhatARefusalCosts(t *testing.T) {
	const limit = 15
	for name, open := range floods() {
		f := open(t)
		w, r := blank{http.Header{}}, f.dear()
		if n := testing.AllocsPerRun(100, func() { f.ServeHTTP(w, r) }); n > limit {
			t.Errorf("%s: a refusal by the block list allocates %.0f times, want %d at most", name, n, limit)
		}
	}
}
