package edge_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/gateway/edge"
)

// Every route, with what a browser is told of its answers. What is open is open by name: GraphiQL runs
// scripts of its own, and only those; files and public keys may be kept; nothing else.
func TestHeadersOfEveryRoute(t *testing.T) {
	t.Parallel()
	h := open(t, func(_ *edge.Parts, o *edge.Options) { o.Registry = prometheus.NewRegistry() })
	const closed = "default-src 'none'; frame-ancestors 'none'"
	asset, _, _ := strings.Cut(after(h.fetch(at("/graphiql/")).text, `src="`), `"`)
	for _, c := range []struct {
		name    string
		request *http.Request
		status  int
		policy  string // a part of it
		cache   string
	}{
		{"a query", post(query("{ __typename }")), 200, closed, "no-store"},
		{"a query over GET", get(url.Values{"query": {"{ __typename }"}}), 200, closed, "no-store"},
		{"a refused query", post(query("{ nothing }"), "Accept", acceptGraphQL), 400, closed, "no-store"},
		{"a field that failed", post(query("{ trips { totalCount } }"), "Authorization", h.signIn(t, "alice")), 200, closed, "no-store"},
		{"a mutation", post(query(`mutation { login(input: {provider: DEMO, code: "alice"}) { accessToken } }`)), 200, closed, "no-store"},
		{"a refused mutation", get(url.Values{"query": {"mutation { logout }"}}, "Authorization", h.signIn(t, "bob")), 405, closed, "no-store"},
		{"no GraphQL", post("{"), 400, closed, "no-store"},
		{"another type", with(post("{}"), "Content-Type", "text/plain"), 415, closed, "no-store"},
		{"another method", httptest.NewRequest(http.MethodDelete, "/graphql", nil), 405, closed, "no-store"},
		{"credentials that do not hold", post(query("{ __typename }"), "Authorization", "Bearer x"), 401, closed, "no-store"},
		{"a preflight", httptest.NewRequest(http.MethodOptions, "/graphql", nil), 204, closed, "no-store"},
		{"GraphiQL", at("/graphiql/"), 200, "script-src", "no-cache"},
		{"a file of GraphiQL", at("/graphiql/" + asset), 200, "script-src", "public, max-age=31536000, immutable"},
		{"a file that is not there", at("/graphiql/nothing.js"), 404, closed, ""},
		{"a name that is none", at("/graphiql/%ff"), 404, closed, ""},
		{"posting to GraphiQL", httptest.NewRequest(http.MethodPost, "/graphiql/", nil), 405, closed, ""},
		{"the way to GraphiQL", at("/graphiql"), 301, closed, ""},
		{"the front page", at("/"), 307, closed, "no-store"},
		{"liveness", at("/healthz"), 200, closed, "no-store"},
		{"readiness", at("/readyz"), 200, closed, "no-store"},
		{"metrics", at("/metrics"), 200, closed, "no-store"},
		{"public keys", at("/.well-known/jwks.json"), 200, closed, "public, max-age=300"},
		{"nothing", at("/nowhere"), 404, closed, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := h.fetch(c.request)
			if a.status != c.status || !strings.Contains(a.header.Get("Content-Security-Policy"), c.policy) {
				t.Errorf("answered %d under the policy %q, want %d %q", a.status, a.header.Get("Content-Security-Policy"), c.status, c.policy)
			}
			if got := a.header.Get("Cache-Control"); c.cache != "" && got != c.cache {
				t.Errorf("Cache-Control is %q, want %q", got, c.cache)
			}
			for name, want := range map[string]string{
				"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
				"Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
				"Access-Control-Allow-Origin": "", "Set-Cookie": "", "Server": "",
			} {
				if got := a.header.Get(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			if a.header.Get("X-Request-Id") == "" {
				t.Error("the answer has no id")
			}
			if policy := a.header.Get("Content-Security-Policy"); !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe-eval") {
				t.Errorf("the policy is %q", policy)
			}
		})
	}
}

// What a browser sends for the page of another site is refused, unless that site is listed. It tells
// so of itself; programs say nothing of the kind.
func TestRequestsThatOtherSitesCause(t *testing.T) {
	t.Parallel()
	h := open(t)
	anybody := open(t, func(_ *edge.Parts, o *edge.Options) { o.CORSOrigins = []string{"*"} })
	ask := url.Values{"query": {"{ __typename }"}}
	for _, c := range []struct {
		name        string
		environment *environment
		headers     []string
		status      int
	}{
		{"a program", h, nil, 200},
		{"a page of the gateway", h, []string{"Sec-Fetch-Site", "same-origin"}, 200},
		{"somebody who types the address", h, []string{"Sec-Fetch-Site", "none"}, 200},
		{"an image of another site", h, []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}, 403},
		{"a link of another site", h, []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, 403},
		{"a page of a neighbour", h, []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"a script of another site", h, []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.test"}, 403},
		{"a script of a listed site", h, []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://app.test"}, 200},
		{"a script of any site", anybody, []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.test"}, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, request := range []*http.Request{get(ask, c.headers...), post(query("{ __typename }"), c.headers...)} {
				a := c.environment.do(t, request)
				if a.status != c.status || c.status == 403 && a.extension("reason") != "CROSS_SITE_REFUSED" {
					t.Errorf("%s: %d %s", request.Method, a.status, a.text)
				}
			}
		})
	}
}

func after(text, mark string) string {
	_, rest, _ := strings.Cut(text, mark)
	return rest
}
