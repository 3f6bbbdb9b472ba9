package edge_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/bff/quota"
	"github.com/sluicehq/sluice/gateway/edge"
	"github.com/sluicehq/sluice/gateway/gqlrequest"
)

// openBatching takes up to five operations a request.
func openBatching(t *testing.T, limits *quota.Options) *environment {
	t.Helper()
	return openInside(t, limits, func(o *inside) { o.Limits.Cost = 50 }, func(_ *edge.Parts, o *edge.Options) {
		o.Requests, o.CompressFrom = gqlrequest.Usual(), 200
		o.Requests.Batch = 5
	})
}

func batch(operations ...string) string { return "[" + strings.Join(operations, " ,\n") + "]" }

func TestAListOfOperations(t *testing.T) {
	t.Parallel()
	h := openBatching(t, nil)
	who := h.signIn(t, "operator")
	const named = `query A { a: __typename } query B { viewer { account { name } } }`
	body := batch(
		query("{ viewer { account { role } } }"), query("{"),
		`{"query": "`+named+`", "operationName": "B", "variables": {"x": 1}, "extensions": {}}`,
		query("{ trips { totalCount } }"), query(`mutation { createApiKey(input: {name: "x", scopes: []}) { secret } }`),
	)
	for _, accept := range []string{acceptJSON, acceptGraphQL} {
		a := h.fetch(post(body, "Authorization", who, "Accept", accept))
		var answers []struct {
			Data   *json.RawMessage
			Errors []struct{ Extensions struct{ Reason string } }
		}
		if err := json.Unmarshal([]byte(a.text), &answers); err != nil || len(answers) != 5 || a.status != http.StatusOK {
			t.Fatalf("%d %s: %v", a.status, a.text, err)
		}
		for i, want := range []struct{ data, reason string }{
			{`{"viewer":{"account":{"role":"OPERATOR"}}}`, ""},
			{"", "PARSE_FAILED"},
			{`{"viewer":{"account":{"name":"Operator"}}}`, ""},
			{`{"trips":null}`, "SERVICE_UNAVAILABLE"},
			{"", "SCOPE_MISSING"},
		} {
			data, reason := "", ""
			if answers[i].Data != nil {
				data = string(*answers[i].Data)
			}
			if len(answers[i].Errors) > 0 {
				reason = answers[i].Errors[0].Extensions.Reason
			}
			if data != want.data || reason != want.reason {
				t.Errorf("the answer %d is %s %s, want %+v", i, data, reason, want)
			}
		}
		if got := a.header.Get("Content-Type"); got != acceptJSON+"; charset=utf-8" || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("answered as %s, %s", got, a.header.Get("Cache-Control"))
		}
	}
}

func TestListsThatAreRefused(t *testing.T) {
	t.Parallel()
	h := openBatching(t, points())
	who := h.signIn(t, "alice")
	one := query("{ __typename }")
	for _, c := range []struct {
		name, body, reason string
		status             int
	}{
		{"too many", batch(one, one, one, one, one, one), "BATCH_TOO_LARGE", 400},
		{"none", "[ ]", "REQUEST_MALFORMED", 400},
		{"one that is none", batch(one, "7"), "REQUEST_MALFORMED", 400},
		{"a list in a list", batch("[" + one + "]"), "REQUEST_MALFORMED", 400},
		{"a list that does not end", "[" + one, "REQUEST_MALFORMED", 400},
		{"something after the list", batch(one) + one, "REQUEST_MALFORMED", 400},
		{"one without a query", batch(one, "{}"), "REQUEST_MALFORMED", 400},
		{"one that says something twice", batch(one, `{"query": "{ a }", "query": "{ b }"}`), "REQUEST_MALFORMED", 400},
		{"operations that cost too much together", batch(query("{ devices(first: 30) { nodes { id } } }"), query("{ devices(first: 20) { nodes { id } } }")), "QUERY_TOO_EXPENSIVE", 400},
	} {
		a := h.do(t, post(c.body, "Authorization", who))
		if a.status != c.status || a.extension("reason") != c.reason || len(a.Data) > 0 {
			t.Errorf("%s: %d %s", c.name, a.status, a.text)
		}
	}
	streamed := h.fetch(post(batch(one), "Authorization", who, "Accept", "text/event-stream"))
	if !strings.Contains(streamed.text, "__typename") {
		t.Errorf("without subscriptions a list is a list: %s", streamed.text)
	}
}

// A list costs what its operations cost: what is refused costs nothing, and what its answer did not use is given back.
func TestAListIsPaidFor(t *testing.T) {
	t.Parallel()
	h := openBatching(t, points())
	who := h.signIn(t, "alice")
	viewer := query("{ viewer { account { name } } }")
	for _, c := range []struct {
		name, body string
		left       string
	}{
		{"three", batch(viewer, viewer, viewer), "994"},
		{"one that does not read", batch(viewer, query("{")), "991"},
		{"too much together", batch(query("{ devices(first: 30) { nodes { id } } }"), query("{ devices(first: 20) { nodes { id } } }")), "991"},
		{"an answer that used less", batch(query("{ devices(first: 30) { nodes { id } } }")), "990"},
		{"subscriptions have a way of their own", batch(query("subscription { tripChanged { id } }"), viewer), "987"},
	} {
		a := h.fetch(post(c.body, "Authorization", who))
		if _, after, _ := strings.Cut(a.header.Get("RateLimit"), "r="); !strings.HasPrefix(after, c.left+";") {
			t.Errorf("%s: RateLimit is %s, want %s left: %s", c.name, a.header.Get("RateLimit"), c.left, a.text)
		}
	}
}

// The operations of a list run in its order.
func TestAListRunsInOrder(t *testing.T) {
	t.Parallel()
	h := openBatching(t, nil)
	who := h.signIn(t, "admin")
	make := query(`mutation { createApiKey(input: {name: "in between", scopes: ["trip:read"]}) { apiKey { name } } }`)
	list := query("{ apiKeys { name } }")
	a := h.fetch(post(batch(list, make, list), "Authorization", who, "Accept-Encoding", "gzip"))
	want := `[{"data":{"apiKeys":[]}},{"data":{"createApiKey":{"apiKey":{"name":"in between"}}}},{"data":{"apiKeys":[{"name":"in between"}]}}]`
	if a.text != want {
		t.Errorf("answered %s, want %s", a.text, want)
	}
	long := query("{ " + strings.Repeat("viewer { scopes account { name role } } ", 3) + "a: viewer { scopes } }")
	if a := h.fetch(post(batch(long, long), "Authorization", who, "Accept-Encoding", "gzip")); a.header.Get("Content-Encoding") != "gzip" {
		t.Errorf("queries alone are not compressed: %v", a.header)
	}
	if a := h.fetch(post(batch(long, make, long), "Authorization", who, "Accept-Encoding", "gzip")); a.header.Get("Content-Encoding") != "" {
		t.Errorf("a mutation's secrets are compressed: %v", a.header)
	}
}
