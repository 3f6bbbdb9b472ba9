package edge_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func get(values url.Values, headers ...string) *http.Request {
	return with(httptest.NewRequest(http.MethodGet, "/graphql?"+values.Encode(), nil), headers...)
}

// What is not GraphQL over HTTP is refused by a status of its own and a reason that says why.
func TestWhatIsNotGraphQLOverHTTP(t *testing.T) {
	t.Parallel()
	h := open(t)
	big := strings.Repeat("x", 2<<20)
	mutation := "mutation { logout }"
	cases := []struct {
		name    string
		request *http.Request
		status  int
		reason  string
	}{
		{"no body", post(""), 400, "REQUEST_MALFORMED"},
		{"malformed JSON", post(`{"query": "{ __typename }"`), 400, "REQUEST_MALFORMED"},
		{"something after the JSON", post(`{"query": "{ __typename }"} {}`), 400, "REQUEST_MALFORMED"},
		{"a batch", post(`[{"query": "{ __typename }"}]`), 400, "BATCHING_UNSUPPORTED"},
		{"a JSON text", post(`"{ __typename }"`), 400, "REQUEST_MALFORMED"},
		{"JSON null", post(`null`), 400, "REQUEST_MALFORMED"},
		{"no query", post(`{"operationName": "A"}`), 400, "REQUEST_MALFORMED"},
		{"a query of spaces", post(query(" \n\t ")), 400, "REQUEST_MALFORMED"},
		{"a query that is a number", post(`{"query": 7}`), 400, "REQUEST_MALFORMED"},
		{"variables that are a list", post(`{"query": "{ __typename }", "variables": [1]}`), 400, "REQUEST_MALFORMED"},
		{"variables that are a text", post(`{"query": "{ __typename }", "variables": "{}"}`), 400, "REQUEST_MALFORMED"},
		{"extensions that are a list", post(`{"query": "{ __typename }", "extensions": [1]}`), 400, "REQUEST_MALFORMED"},
		{"a batch of one operation in a list of lists", post(`[[{"query": "{ __typename }"}]]`), 400, "BATCHING_UNSUPPORTED"},
		{"two queries", post(`{"query": "{ __typename }", "query": "{ viewer { scopes } }"}`), 400, "REQUEST_MALFORMED"},
		{"variables in each other", post(`{"query": "{ __typename }", "variables": {"a": ` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}}`), 400, "REQUEST_TOO_DEEP"},
		{"a flood of values", post(`{"query": "{ __typename }", "variables": {"a": [1` + strings.Repeat(",1", 30_000) + `]}}`), 400, "TOO_MANY_VALUES"},
		{"large variables", post(`{"query": "{ __typename }", "variables": {"a": "` + big[:600<<10] + `"}}`), 400, "VARIABLES_TOO_LARGE"},
		{"2 MB", post(query(big)), 413, "BODY_TOO_LARGE"},
		{"a huge query", post(query("{ __typename } #" + big[:600<<10])), 400, "QUERY_TOO_LARGE"},
		{"no content type", with(post(query("{ __typename }")), "Content-Type", ""), 415, "MEDIA_TYPE_UNSUPPORTED"},
		{"a form", with(post("query={__typename}"), "Content-Type", "application/x-www-form-urlencoded"), 415, "MEDIA_TYPE_UNSUPPORTED"},
		{"plain text", with(post(query("{ __typename }")), "Content-Type", "text/plain"), 415, "MEDIA_TYPE_UNSUPPORTED"},
		{"a packed body", with(post("\x1f\x8b"), "Content-Encoding", "gzip"), 415, "MEDIA_TYPE_UNSUPPORTED"},
		{"a body that is said to be packed", with(post(query("{ __typename }")), "Content-Encoding", "br"), 415, "MEDIA_TYPE_UNSUPPORTED"},
		{"what is no UTF-8", post("{\"query\": \"{ __typename } #\xff\"}"), 400, "REQUEST_MALFORMED"},
		{"a variable twice", post(`{"query": "{ __typename }", "variables": {"a": 1, "a": 2}}`), 400, "REQUEST_MALFORMED"},
		{"a mutation over GET by nobody", get(url.Values{"query": {mutation}}), 405, "METHOD_NOT_ALLOWED"},
		{"a mutation over GET among queries", get(url.Values{"query": {"query A { __typename } mutation B { logout }"}, "operationName": {"B"}}), 405, "METHOD_NOT_ALLOWED"},
		{"another charset", with(post(query("{ __typename }")), "Content-Type", "application/json; charset=latin1"), 415, "MEDIA_TYPE_UNSUPPORTED"},
		{"PUT", httptest.NewRequest(http.MethodPut, "/graphql", strings.NewReader("{}")), 405, "METHOD_NOT_ALLOWED"},
		{"DELETE", httptest.NewRequest(http.MethodDelete, "/graphql", nil), 405, "METHOD_NOT_ALLOWED"},
		{"a mutation over GET", get(url.Values{"query": {mutation}}, "Authorization", h.signIn(t, "alice")), 405, "METHOD_NOT_ALLOWED"},
		{"GET without a query", get(nil), 400, "REQUEST_MALFORMED"},
		{"GET with a broken URL", httptest.NewRequest(http.MethodGet, "/graphql?query=%7B__typename%7D&x=%zz", nil), 400, "REQUEST_MALFORMED"},
		{"GET with variables that are none", get(url.Values{"query": {"{ __typename }"}, "variables": {"7"}}), 400, "REQUEST_MALFORMED"},
		{"GET with something after the variables", get(url.Values{"query": {"{ __typename }"}, "variables": {"{} {}"}}), 400, "REQUEST_MALFORMED"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := h.do(t, c.request)
			if a.status != c.status || a.code() != "INVALID_ARGUMENT" || a.extension("reason") != c.reason {
				t.Errorf("answered %d %s, want %d %s", a.status, a.text, c.status, c.reason)
			}
			if len(a.Data) > 0 {
				t.Errorf("nothing ran, and there is data: %s", a.text)
			}
			if c.status == http.StatusMethodNotAllowed && a.header.Get("Allow") == "" {
				t.Error("405 does not say what is allowed")
			}
		})
	}
}

func TestSubscriptionsNeedAStream(t *testing.T) {
	t.Parallel()
	h := open(t)
	text, who := `subscription { activityAdded { id } }`, h.signIn(t, "alice")
	for _, request := range []*http.Request{get(url.Values{"query": {text}}, "Authorization", who), post(query(text), "Authorization", who)} {
		if a := h.do(t, request); a.status != 400 || a.extension("reason") != "SUBSCRIPTION_NEEDS_STREAM" || len(a.Data) > 0 {
			t.Errorf("%s: answered %d %s", request.Method, a.status, a.text)
		}
	}
}

func TestQueriesAreAnsweredOverPOSTAndGET(t *testing.T) {
	t.Parallel()
	h := open(t)
	who := h.signIn(t, "operator")
	text := `query Me($with: Boolean!) { viewer { account { name @include(if: $with) role } } }`
	want := `{"viewer":{"account":{"name":"Operator","role":"OPERATOR"}}}`
	for name, request := range map[string]*http.Request{
		"POST": post(`{"query": "` + text + `", "operationName": "Me", "variables": {"with": true}, "extensions": {"x": 1}}`),
		"POST with a charset": with(post(`{"query": "`+text+`", "variables": {"with": true}}`),
			"Content-Type", "application/json; charset=UTF-8"),
		"GET": get(url.Values{"query": {text}, "operationName": {"Me"}, "variables": {`{"with": true}`}}),
		// curl --http2 asks a server that it does not know for HTTP/2 like this.
		"GET that would upgrade to HTTP/2": get(url.Values{"query": {text}, "variables": {`{"with": true}`}},
			"Connection", "Upgrade, HTTP2-Settings", "Upgrade", "h2c"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := h.do(t, with(request, "Authorization", who))
			if a.status != http.StatusOK || string(a.Data) != want || len(a.Errors) > 0 {
				t.Errorf("answered %d %s", a.status, a.text)
			}
		})
	}
}
