package edge_test

import (
	"encoding/json"
	"net/http"
	"testing"
)

// Whatever is posted, the answer is JSON of GraphQL's form, and nothing of ours went wrong.
func FuzzEntrance(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `[]`, `null`, `{"query": "{ __typename }"}`, `{"query": "{"}`,
		`{"query": "query($a: Int!, $b: [DeviceKind!], $c: DeviceFilter) { devices(first: $a, filter: {kinds: $b}) { nodes { id } } }", "variables": {"a": 1e3, "b": "X", "c": {"labels": [1]}}}`,
		`{"query": "query($f: TripFilter, $j: JSON, $t: DateTime) { trips(filter: $f) { totalCount } }", "variables": {"f": {"statuses": ["FINISHED", null]}, "j": null, "t": 0}}`,
		`{"query": "mutation { login(input: {provider: DEMO, code: \"alice\"}) { ...s } } fragment s on Session { account { id } }"}`,
		`{"query": "{ node(id: \"trip_01jd2k0f3qe8x9w5t7v6m4n2p0\") { ...n } } fragment n on Node { ...n }"}`,
		`{"query": "{ __schema { types { fields { type { ofType { name } } } } } __type(name: \"Trip\") { name } }"}`,
		`{"query": "query A @skip(if: true) { __typename } query B { viewer { scopes @include(if: false) } }", "operationName": "B"}`,
		`{"query": "{ hydration(from: \"2026-01-01T00:00:00Z\", to: 1) { totalMl } }", "variables": {"": {}}, "extensions": {"x": [[[]]]}}`,
	} {
		f.Add(seed)
	}
	h := open(f)
	who := h.signIn(f, "operator")
	f.Fuzz(func(t *testing.T, body string) {
		a := h.do(t, post(body, "Authorization", who))
		if a.status >= http.StatusInternalServerError || a.code() == "INTERNAL" {
			t.Errorf("answered %d %s", a.status, a.text)
		}
		if len(a.Errors) == 0 && !json.Valid(a.Data) {
			t.Errorf("neither data nor errors: %s", a.text)
		}
		for _, problem := range a.Errors {
			if problem.Message == "" || problem.Extensions["code"] == nil || problem.Extensions["requestId"] == nil {
				t.Errorf("an error lacks something: %s", a.text)
			}
		}
	})
}
