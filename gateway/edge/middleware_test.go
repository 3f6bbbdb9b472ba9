package edge_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/sluicehq/sluice/gateway/edge"
)

func at(path string, headers ...string) *http.Request {
	return with(httptest.NewRequest(http.MethodGet, path, nil), headers...)
}

func TestEveryRequestHasAnID(t *testing.T) {
	t.Parallel()
	h := open(t)
	for sent, kept := range map[string]bool{
		"":                       false,
		"client-7.a_b:c":         true,
		"with space":             false,
		"<script>":               false,
		strings.Repeat("x", 101): false,
	} {
		a := h.do(t, post(query("{ nothing }"), "X-Request-Id", sent))
		got := a.header.Get("X-Request-Id")
		if got == "" || (got == sent) != kept {
			t.Errorf("sent %q, got %q", sent, got)
		}
		if a.extension("requestId") != got {
			t.Errorf("the error is of request %q, the answer of %q", a.extension("requestId"), got)
		}
	}
	if first, second := h.fetch(at("/healthz")), h.fetch(at("/healthz")); first.header.Get("X-Request-Id") == second.header.Get("X-Request-Id") {
		t.Error("two requests have one id")
	}
}

func TestPagesOfOtherOriginsAreListed(t *testing.T) {
	t.Parallel()
	listed := open(t)
	anybody := open(t, func(_ *edge.Parts, o *edge.Options) { o.CORSOrigins = []string{"*"} })
	for _, c := range []struct {
		name        string
		environment *environment
		origin      string
		allowed     string
	}{
		{"listed", listed, "https://app.test", "https://app.test"},
		{"not listed", listed, "https://evil.test", ""},
		{"listed as a part", listed, "https://app.test.evil.test", ""},
		{"null", listed, "null", ""},
		{"of a program", listed, "", ""},
		{"anybody", anybody, "https://evil.test", "https://evil.test"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			preflight := with(httptest.NewRequest(http.MethodOptions, "/graphql", nil),
				"Origin", c.origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type,traceparent")
			unlisted := with(httptest.NewRequest(http.MethodOptions, "/graphql", nil),
				"Origin", c.origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "x-unlisted")
			before, answer := c.environment.fetch(preflight), c.environment.fetch(post(query("{ __typename }"), "Origin", c.origin))
			for _, a := range []answerOf{{"preflight", before, 204}, {"request", answer, 200}} {
				if a.status != a.want || a.header.Get("Access-Control-Allow-Origin") != c.allowed {
					t.Errorf("%s: %d, allowed %q", a.name, a.status, a.header.Get("Access-Control-Allow-Origin"))
				}
				if a.header.Get("Access-Control-Allow-Credentials") != "" || !strings.Contains(strings.Join(a.header.Values("Vary"), ","), "Origin") {
					t.Errorf("%s: headers %v", a.name, a.header)
				}
			}
			if headers := before.header.Get("Access-Control-Allow-Headers"); (headers == "authorization,content-type,traceparent") != (c.allowed != "") {
				t.Errorf("a page may send %q", headers)
			}
			if a := c.environment.fetch(unlisted); a.header.Get("Access-Control-Allow-Origin") != "" || a.header.Get("Access-Control-Allow-Headers") != "" {
				t.Errorf("a page may send any header: %v", a.header)
			}
		})
	}
}

type answerOf struct {
	name string
	answer
	want int
}

func TestAnswersCannotBeMisusedByBrowsers(t *testing.T) {
	t.Parallel()
	h := open(t)
	for _, request := range []*http.Request{post(query("{ __typename }")), post("{"), at("/healthz"), at("/graphiql/"), at("/nowhere")} {
		a := h.fetch(request)
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Resource-Policy": "same-origin",
		} {
			if got := a.header.Get(name); got != want {
				t.Errorf("%s: %s is %q", request.URL, name, got)
			}
		}
	}
	if a := h.fetch(post(query("{ __typename }"))); a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("answers may be kept: %q", a.header.Get("Cache-Control"))
	}
}

func TestReadinessFollowsOwnPartsAndShowsSharedOnes(t *testing.T) {
	t.Parallel()
	checks := func(own, shared error) change {
		return func(p *edge.Parts, _ *edge.Options) {
			p.Health = edge.NewHealth(
				map[string]edge.Check{"events": func(context.Context) error { return own }},
				map[string]edge.Check{"trip": func(context.Context) error { return shared }})
		}
	}
	down := errors.New("dial tcp 10.0.0.1: secret")
	for _, c := range []struct {
		name          string
		environment   *environment
		status        int
		says, verbose string
	}{
		{
			"all parts up, ready", open(t, checks(nil, nil)), 200,
			`{"parts":["events"],"status":"ready"}`, `"shared":{"down":[],"parts":["trip"]}`,
		},
		{
			"own part down, not ready", open(t, checks(down, nil)), 503,
			`{"down":["events"],"status":"not ready"}`, `"shared":{"down":[],"parts":["trip"]}`,
		},
		{
			"shared part down, ready", open(t, checks(nil, down)), 200,
			`{"parts":["events"],"status":"ready"}`, `"shared":{"down":["trip"],"parts":["trip"]}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if a := c.environment.fetch(at("/readyz")); a.status != c.status || strings.TrimSpace(a.text) != c.says {
				t.Errorf("answered %d %s", a.status, a.text)
			}
			if a := c.environment.fetch(at("/readyz?verbose")); a.status != c.status || !strings.Contains(a.text, c.verbose) || strings.Contains(a.text, "secret") {
				t.Errorf("answered %d %s, want %s", a.status, a.text, c.verbose)
			}
			if a := c.environment.fetch(at("/healthz")); a.status != 200 {
				t.Errorf("the process does not live: %d %s", a.status, a.text)
			}
		})
	}
}

func TestAProcessThatDrainsIsNotReadyAndStillAnswers(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.health.Drain()
	if a := h.fetch(at("/readyz")); a.status != 503 || !strings.Contains(a.text, "draining") {
		t.Errorf("answered %d %s", a.status, a.text)
	}
	for _, request := range []*http.Request{at("/healthz"), post(query("{ __typename }"))} {
		if a := h.fetch(request); a.status != 200 {
			t.Errorf("%s: answered %d %s", request.URL, a.status, a.text)
		}
	}
}

// A page whose name resolves to this machine sends its own name as Host, over every route.
func TestHostOfAnotherSiteIsRefused(t *testing.T) {
	t.Parallel()
	h := open(t, func(_ *edge.Parts, o *edge.Options) { o.Hosts = []string{"sluice.example.org"} })
	for host, want := range map[string]int{
		"rebound.example:8080": 403, "localhost.example": 403, "127.0.0.1.nip.io": 403, "sluice.example.org.example": 403, "127.0.0.1@rebound.example": 403,
		"127.0.0.1:8080": 200, "127.0.0.1": 200, "[::1]:8080": 200, "LOCALHOST:8080": 200, "app.localhost": 200, "sluice.example.org": 200, "192.168.7.7:80": 200,
	} {
		for _, request := range []*http.Request{post(query("{ __typename }")), at("/graphiql/"), at("/healthz")} {
			request.Host = host
			a := h.fetch(request)
			if a.status != want || want == 403 && !strings.Contains(a.text, "HOST_REFUSED") {
				t.Errorf("%s from %s: %d %.200s, want %d", request.URL.Path, host, a.status, a.text, want)
			}
		}
	}
	request := post(query("{ __typename }"))
	request.Host = "rebound.example"
	if a := open(t).fetch(request); a.status != 200 {
		t.Errorf("without a list of hosts: %d %s", a.status, a.text)
	}
}

func TestSchemaIsServedToThoseWhoMayReadIt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		open   bool
		who    string
		status int
	}{{false, "", 403}, {false, "alice", 403}, {false, "operator", 200}, {true, "", 200}} {
		h := open(t, func(_ *edge.Parts, o *edge.Options) { o.Introspection = c.open })
		request := at("/schema.graphql")
		if c.who != "" {
			request.Header.Set("Authorization", h.signIn(t, c.who))
		}
		a := h.fetch(request)
		if a.status != c.status || (a.status == 200) != strings.Contains(a.text, "scalar DateTime @specifiedBy(url:") {
			t.Errorf("%+v: %d %.200s", c, a.status, a.text)
		}
		if _, err := gqlparser.LoadSchema(&ast.Source{Input: a.text}); a.status == 200 && err != nil {
			t.Errorf("%+v: the schema does not parse: %v", c, err)
		}
	}
	request := at("/schema.graphql")
	request.Header.Set("Authorization", "Bearer sluice_AbCd1234_0123456789ABCDEFGHIJKLMNOPQRSTUV0AKL6h")
	if a := open(t).fetch(request); a.status != 401 || !strings.Contains(a.text, "send it as X-API-Key") {
		t.Errorf("an API key as a token: %d %s", a.status, a.text)
	}
}

func TestGraphiQLCanBeSwitchedOff(t *testing.T) {
	t.Parallel()
	off := open(t, func(_ *edge.Parts, o *edge.Options) { o.GraphiQL = false })
	for _, path := range []string{"/", "/graphiql", "/graphiql/", "/graphiql/settings.json"} {
		if a := off.fetch(at(path)); a.status != 404 {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	for _, demo := range []bool{false, true} {
		h := open(t, func(_ *edge.Parts, o *edge.Options) { o.DemoIdentities = demo })
		if a := h.fetch(at("/graphiql/settings.json")); a.status != 200 || strings.TrimSpace(a.text) != fmt.Sprintf(`{"demo":%t}`, demo) {
			t.Errorf("demo %t: the page is told %d %s", demo, a.status, a.text)
		}
	}
}

func TestGraphiQLIsServedUnderAPolicy(t *testing.T) {
	t.Parallel()
	h := open(t)
	page := h.fetch(at("/graphiql/"))
	if page.status != 200 || !strings.Contains(page.text, "<script") || !strings.HasPrefix(page.header.Get("Content-Type"), "text/html") {
		t.Errorf("answered %d %.100q", page.status, page.text)
	}
	if policy := page.header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") {
		t.Errorf("the policy is %q", policy)
	}
	for from, to := range map[string]string{"/": "/graphiql/", "/graphiql": "/graphiql/"} {
		if a := h.fetch(at(from)); a.status/100 != 3 || a.header.Get("Location") != to {
			t.Errorf("%s leads to %d %q", from, a.status, a.header.Get("Location"))
		}
	}
	_, asset, _ := strings.Cut(page.text, `src="`)
	asset, _, found := strings.Cut(asset, `"`)
	if a := h.fetch(at("/graphiql/" + asset)); !found || a.status != 200 || !strings.Contains(a.header.Get("Cache-Control"), "immutable") {
		t.Errorf("asset %q: %d %v", asset, a.status, a.header)
	}
	for _, outside := range []string{"/graphiql/nothing.js", "/graphiql/../../go.mod", "/graphiql/assets", "/graphiql/assets/", "/nowhere"} {
		if a := h.fetch(at(outside)); a.status == 200 {
			t.Errorf("%s is served", outside)
		}
	}
}

func TestPublicKeysArePublic(t *testing.T) {
	t.Parallel()
	h := open(t)
	a := h.fetch(at("/.well-known/jwks.json"))
	var set struct {
		Keys []map[string]string `json:"keys"`
	}
	if err := json.Unmarshal([]byte(a.text), &set); err != nil || a.status != 200 || len(set.Keys) == 0 {
		t.Fatalf("answered %d %s", a.status, a.text)
	}
	for _, key := range set.Keys {
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
			if _, ok := key[private]; ok {
				t.Errorf("the key shows %q", private)
			}
		}
		if key["kid"] == "" || key["kty"] != "RSA" || key["n"] == "" {
			t.Errorf("the key is %v", key)
		}
	}
}

// Faults of ours are INTERNAL: written down, and kept from the caller.
func TestFaultsAreMaskedAndWrittenDown(t *testing.T) {
	t.Parallel()
	const secret = "dial tcp 10.0.0.1: sesame"
	failing := func(fail func() ([]byte, error)) change {
		return func(p *edge.Parts, _ *edge.Options) {
			p.KeySet = func(context.Context) ([]byte, error) { return fail() }
		}
	}
	babbling := open(t)
	babbling.graphQL.AroundResponses(func(context.Context, graphql.ResponseHandler) *graphql.Response {
		return &graphql.Response{Data: []byte(`sesame`)}
	})
	panicking := open(t)
	panicking.graphQL.AroundOperations(func(context.Context, graphql.OperationHandler) graphql.ResponseHandler { panic(secret) })
	for _, c := range []struct {
		name        string
		environment *environment
		request     *http.Request
	}{
		{"an error", open(t, failing(func() ([]byte, error) { return nil, errors.New(secret) })), at("/.well-known/jwks.json")},
		{"a panic", open(t, failing(func() ([]byte, error) { panic(secret) })), at("/.well-known/jwks.json")},
		{"JSON that is none", babbling, post(query("{ __typename }"))},
		{"a panic of an operation", panicking, post(query("{ __typename }"))},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := c.environment.do(t, c.request)
			if a.status != 500 || a.code() != "INTERNAL" || len(a.Data) > 0 || !strings.HasPrefix(a.header.Get("Content-Type"), acceptJSON) {
				t.Errorf("answered %d %v %s", a.status, a.header, a.text)
			}
			for _, inside := range []string{"sesame", "10.0.0.1", "goroutine", ".go"} {
				if strings.Contains(a.text, inside) {
					t.Errorf("the answer shows %q: %s", inside, a.text)
				}
			}
			if log := c.environment.log.String(); !strings.Contains(log, `"level":"ERROR"`) || !strings.Contains(log, a.extension("requestId")) {
				t.Errorf("the log does not tell of it: %s", log)
			}
		})
	}
}

func TestARequestWhoseTimeIsOverIsToldSo(t *testing.T) {
	t.Parallel()
	h := open(t, func(_ *edge.Parts, o *edge.Options) { o.RequestTimeout = time.Nanosecond })
	for name, text := range map[string]string{"before anything ran": "{ __typename }", "before it is let in": "{ viewer { scopes } }"} {
		a := h.do(t, post(query(text), "Accept", acceptGraphQL))
		if a.code() == "INTERNAL" || a.status == 500 || len(a.Errors) == 0 {
			t.Errorf("%s: answered %d %s", name, a.status, a.text)
		}
	}
	if a := h.do(t, post(query("{ __typename }"))); a.status != 504 || a.code() != "DEADLINE_EXCEEDED" {
		t.Errorf("answered %d %s", a.status, a.text)
	}
}
