package graph_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A field of a query that the caller's scopes do not allow is null, with its error; the rest arrives.
func TestQueryDeniedFieldsAreNull(t *testing.T) {
	t.Parallel()
	h, callers := demo(t)
	member, devices := callers[2], callers[4]
	for _, c := range []struct {
		name, query string
		by          who
		data        string
		errors      []string // "path reason"
	}{
		{"below a field", `{ overview { jobs { running } degraded } }`, member, `{"overview":{"jobs":null,"degraded":[]}}`, []string{"overview.jobs SCOPE_MISSING"}},
		{"at the root", `{ jobs { totalCount } viewer { apiKey { id } } }`, member, `{"jobs":null,"viewer":{"apiKey":null}}`, []string{"jobs SCOPE_MISSING"}},
		{"under an alias, in a fragment", `{ ...f } fragment f on Query { __typename a: jobs { totalCount } viewer { apiKey { id } } }`, member, `{"__typename":"Query","a":null,"viewer":{"apiKey":null}}`, []string{"a SCOPE_MISSING"}},
		{"in each item of a list", `{ devices(first: 2) { nodes { __typename currentTrip { id } } } }`, devices, `{"devices":{"nodes":[{"__typename":"Device","currentTrip":null},{"__typename":"Device","currentTrip":null}]}}`, []string{"devices.nodes.0.currentTrip SCOPE_MISSING", "devices.nodes.1.currentTrip SCOPE_MISSING"}},
		{"not included", `query($x: Boolean = false) { jobs @include(if: $x) { totalCount } viewer { apiKey { id } } }`, member, `{"viewer":{"apiKey":null}}`, nil},
		{"nothing else", `{ jobs { totalCount } more: jobs { nodes { id } } }`, member, ``, []string{" SCOPE_MISSING"}},
		{"a mutation", `mutation { recordWater(input: {amountMl: 1}) { id device { id } } createJob(input: {name: "x", kind: "log", payload: {message: "x"}}) { id } }`, member, ``, []string{" SCOPE_MISSING"}},
		{"a mutation with a field below", `mutation { recordWater(input: {amountMl: 1}) { id job { id } } }`, member, ``, []string{" SCOPE_MISSING"}},
		{"nobody", `{ viewer { scopes } jobs { totalCount } }`, callers[6], ``, []string{" SIGN_IN_REQUIRED"}},
	} {
		body, err := json.Marshal(map[string]any{"query": c.query})
		if err != nil {
			t.Fatal(err)
		}
		request := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(string(body)))
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set(c.by.header, c.by.secret)
		response := httptest.NewRecorder()
		h.ServeHTTP(response, request)
		var got struct {
			Data   json.RawMessage
			Errors []problem
		}
		if err := json.Unmarshal(response.Body.Bytes(), &got); err != nil {
			t.Fatalf("%v: %s", err, response.Body)
		}
		var errors []string
		for _, e := range got.Errors {
			path := strings.Trim(fmt.Sprint(e.Path), "[]")
			errors = append(errors, strings.ReplaceAll(path, " ", ".")+" "+e.extension("reason"))
		}
		if string(got.Data) != c.data || fmt.Sprint(errors) != fmt.Sprint(c.errors) {
			t.Errorf("%s: %s %v, want %s %v", c.name, got.Data, errors, c.data, c.errors)
		}
	}
}

// A member's response is not that of a caller with more scopes, in either order.
func TestCachedResponseDependsOnDeniedFields(t *testing.T) {
	t.Parallel()
	const query = `query Q($x: Boolean!) { devices(first: 1) { nodes { id jobs(first: 1) @include(if: $x) { totalCount } } } }`
	for _, first := range []int{1, 2} {
		a, callers := openCached(t)
		for i := range 4 {
			by := callers[1+(first+i)%2]
			got, _ := a.ask(t, by, query, map[string]any{"x": true}, true)
			denied := strings.Contains(got.Body.String(), "SCOPE_MISSING")
			if isMember := by.name == "member"; denied != isMember || strings.Contains(got.Body.String(), `"jobs":null`) != isMember {
				t.Errorf("%s: %s", by.name, got.Body)
			}
		}
	}
}
