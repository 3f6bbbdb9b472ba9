package edge_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// What public tools send to find out how a GraphQL server can be abused, and what comes of it: the
// probes of graphql-cop (https://github.com/dolevf/graphql-cop), and the rules of graphql-armor
// (https://github.com/Escape-Technologies/graphql-armor), each met by a document that just breaks it.
func TestProbes(t *testing.T) {
	t.Parallel()
	h := open(t)
	who := h.signIn(t, "alice")
	repeat := func(n int, each string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(strings.ReplaceAll(each, "#", fmt.Sprint(i)))
		}
		return b.String()
	}
	circular := `{ __schema { types { fields { type { fields { type { fields { type { fields { type { name } } } } } } } } } } }`
	for _, c := range []struct {
		name    string
		request *http.Request
		status  int
		reason  string
	}{
		{"cop: alias overloading", post(query("query cop { " + repeat(101, "alias#:__typename \n") + " }")), 400, "TOO_MANY_ALIASES"},
		{"cop: array-based batching", post("[" + strings.TrimSuffix(repeat(10, query("query cop { __typename }")+","), ",") + "]"), 400, "BATCHING_UNSUPPORTED"},
		{"cop: directive overloading", post(query("query cop { __typename " + repeat(10, "@aa") + " }")), 400, "TOO_MANY_DIRECTIVES"},
		{"cop: circular introspection", post(query("query cop " + circular)), 400, "VALIDATION_FAILED"},
		{"cop: field duplication", post(query("query cop { " + repeat(500, "__typename \n") + "} ")), 400, "TOO_MANY_DUPLICATES"},
		{"cop: field suggestions", post(query("query cop { __schema { directive } }")), 400, "VALIDATION_FAILED"},
		{"cop: introspection", post(query("query cop { __schema { types { name fields { name } } } }")), 403, "INTROSPECTION_DISABLED"},
		{"cop: mutation over GET", get(url.Values{"query": {"mutation cop { __typename }"}}), 405, "METHOD_NOT_ALLOWED"},
		{"cop: POST urlencoded query (CSRF)", with(httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader("query=query+cop+%7B__typename%7D")),
			"Content-Type", "application/x-www-form-urlencoded"), 415, "MEDIA_TYPE_UNSUPPORTED"},
		{"cop: unhandled errors", post(query("qwerty cop { abc }")), 400, "PARSE_FAILED"},
		{"a form with files (CSRF)", with(post("--x"), "Content-Type", "multipart/form-data; boundary=x"), 415, "MEDIA_TYPE_UNSUPPORTED"},
		{"plain text (CSRF)", with(post(query("{ __typename }")), "Content-Type", "text/plain"), 415, "MEDIA_TYPE_UNSUPPORTED"},
		{"armor: block field suggestions", post(query("{ vewer { scopes } }")), 400, "VALIDATION_FAILED"},
		{"armor: block suggestions of types", post(query("{ ... on Qery { viewer { scopes } } }")), 400, "VALIDATION_FAILED"},
		{"armor: block suggestions of arguments", post(query(`{ trips(frst: 1) { totalCount } }`)), 400, "VALIDATION_FAILED"},
		{"armor: block suggestions of values", post(query(`{ devices(filter: {kinds: [VEHICLES]}) { totalCount } }`)), 400, "VALIDATION_FAILED"},
		{"armor: block suggestions of subfields", post(query("{ viewer }")), 400, "VALIDATION_FAILED"},
		{"armor: character limit", post(query("{ __typename } #" + strings.Repeat("x", 128<<10))), 400, "QUERY_TOO_LARGE"},
		{"armor: cost limit", post(query("{ trips(first: 100) { nodes { vehicle { name currentTrip { account { name } vehicle { name } } } account { name } } } " +
			"devices(first: 10000) { nodes { name } } }")), 400, "QUERY_TOO_EXPENSIVE"},
		{"armor: max aliases", post(query("{ viewer { " + repeat(31, "a#: scopes ") + "} }")), 400, "TOO_MANY_ALIASES"},
		{"armor: max depth", post(query("{ " + strings.Repeat("viewer { ", 15) + "scopes" + strings.Repeat(" }", 16))), 400, "QUERY_TOO_DEEP"},
		{"armor: max depth, by fragments", post(query("{ viewer { ...f0 } } " + strings.ReplaceAll(chained(20), "b: viewer { ...", "... { ...") +
			"fragment f20 on Viewer { scopes }")), 400, "QUERY_TOO_DEEP"},
		{"armor: max directives", post(query("{ viewer { " + repeat(13, "... @include(if: true) @skip(if: false) @a @b { scopes } ") + "} }")), 400, "TOO_MANY_DIRECTIVES"},
		{"armor: max tokens", post(query("{ viewer { " + repeat(2000, "scopes ") + "} }")), 400, "TOO_MANY_TOKENS"},
		{"field duplication by fragments without a name", post(query("{ viewer { " + repeat(40, "... { scopes } ") + "} }")), 400, "TOO_MANY_DUPLICATES"},
		{"an alias that makes the answer long", post(query("{ viewer { " + strings.Repeat("a", 101) + ": scopes } }")), 400, "NAME_TOO_LONG"},
		{"a name that makes the refusal long", post(query("query " + strings.Repeat("A", 60_000) + "{ " + repeat(20, "a#: trips(first: $x#) { totalCount } ") + "}")), 400, "NAME_TOO_LONG"},
		{"fragments that multiply", post(query("{ viewer { ...f0 } } " + chained(60) + " fragment f60 on Viewer { scopes }")), 400, "QUERY_TOO_DEEP"},
		{"fragments that multiply the schema's types", post(query("{ __schema { queryType { ...f0 } } } " +
			strings.ReplaceAll(strings.ReplaceAll(chained(60), "on Viewer", "on __Type"), "viewer", "ofType") + " fragment f60 on __Type { name }")), 400, "QUERY_TOO_DEEP"},
		{"a fragment that spreads itself", post(query("{ viewer { ...f } } fragment f on Viewer { account { ...f } }")), 400, "VALIDATION_FAILED"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := h.do(t, with(c.request, "Accept", acceptGraphQL, "Authorization", who))
			if a.status != c.status || a.extension("reason") != c.reason {
				t.Errorf("answered %d %.300s, want %d %s", a.status, a.text, c.status, c.reason)
			}
			if len(a.Data) > 0 || len(a.Errors) > 20 {
				t.Errorf("answered with data, or with %d errors", len(a.Errors))
			}
			for _, told := range []string{"Did you mean", "did you mean", "goroutine", "stack", ".go:"} {
				if strings.Contains(a.text, told) {
					t.Errorf("the answer tells %q: %s", told, a.text)
				}
			}
		})
	}
}

// chained are fragments of which each spreads the next one twice.
func chained(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "fragment f%d on Viewer { viewer { ...f%d } b: viewer { ...f%d } } ", i, i+1, i+1)
	}
	return b.String()
}

// Probes of graphql-cop that look at what is open by design: queries over GET, which nobody's credentials go along
// with, and GraphiQL, where a page of another origin can do nothing; and at what is not: traces in answers.
func TestProbesOfWhatIsOpen(t *testing.T) {
	t.Parallel()
	h := open(t)
	a := h.do(t, get(url.Values{"query": {"query cop { __typename }"}}, "Origin", "https://evil.test", "Cookie", "session=1"))
	if a.status != http.StatusOK || a.header.Get("Access-Control-Allow-Origin") != "" || a.header.Get("Set-Cookie") != "" {
		t.Errorf("GET: %d %v", a.status, a.header)
	}
	a = h.do(t, post(query("query cop { __typename }")))
	if strings.Contains(a.text, "tracing") || strings.Contains(a.text, "extensions") {
		t.Errorf("the answer is traced: %s", a.text)
	}
	if a := h.fetch(at("/graphiql/")); a.status != http.StatusOK || a.header.Get("X-Frame-Options") != "DENY" || !strings.Contains(a.header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("GraphiQL: %d %v", a.status, a.header)
	}
	for _, path := range []string{"/graphql/", "/graphql/console", "/playground", "/altair", "/voyager", "/v1/graphql", "/api/graphql", "/console"} {
		if a := h.fetch(at(path, "Accept", "text/html")); a.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	if a := h.fetch(at("/graphql", "Accept", "text/html")); a.status != http.StatusBadRequest || strings.Contains(a.text, "<") {
		t.Errorf("a browser at /graphql sees %d %s", a.status, a.text)
	}
}

// Where everybody may look into the schema, refusals help.
func TestSuggestionsWhereTheSchemaIsOpen(t *testing.T) {
	t.Parallel()
	h := openInside(t, nil, func(o *inside) { o.Introspection = true })
	if a := h.do(t, post(query("{ __schema { queryType { name } } }"))); string(a.Data) != `{"__schema":{"queryType":{"name":"Query"}}}` {
		t.Errorf("answered %s", a.text)
	}
	if a := h.do(t, post(query("{ vewer { scopes } }"))); !strings.Contains(a.text, "Did you mean") {
		t.Errorf("answered %s", a.text)
	}
}
