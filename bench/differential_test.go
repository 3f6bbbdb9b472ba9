package bench

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// response is an answer whose errors are in an order of their own.
type response struct {
	Data   json.RawMessage
	Errors []struct {
		Message    string
		Path       []any
		Locations  []any
		Extensions map[string]any
	}
}

func answerOf(t *testing.T, handler http.Handler, query string) (text string, errors []string) {
	t.Helper()
	body, _ := json.Marshal(map[string]string{"query": query})
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(body)))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	whole, _ := io.ReadAll(w.Body)
	var got response
	if err := json.Unmarshal(whole, &got); err != nil {
		t.Fatalf("%s: %v: %.300s", query, err, whole)
	}
	for _, e := range got.Errors {
		one, _ := json.Marshal(e)
		errors = append(errors, string(one))
	}
	slices.Sort(errors)
	return string(got.Data), errors
}

// The schema's own resolvers answer the same through plans and through gqlgen's executor, whatever is
// refused, missing or broken (ports that are not there panic).
func TestPlansReturnSameAsReferenceExecutor(t *testing.T) {
	t.Parallel()
	planned, reference := asOperator(server(inMemory(5), false)), asOperator(server(inMemory(5), true))
	for _, query := range []string{
		dashboard,
		`{ trips(first: 3) { totalCount edges { cursor node { id __typename start { at } } } pageInfo { hasNextPage endCursor } } }`,
		`{ trips(first: 0) { nodes { id } } devices { nodes { id labels } } }`,
		`{ trips { nodes { track(maxPoints: 1) { at } vehicle { events(first: 2) { nodes { id } } } } } }`,
		`{ a: device(id: "x") { id } b: trip(id: "") { id } c: node(id: "nonsense") { id } d: nodes(ids: ["x", "y"]) { id } }`,
		`{ devices { nodes { currentTrip { id account { name role } vehicle { currentTrip { id } } } jobs(first: 1) { nodes { id } } } } }`,
		`{ jobs { nodes { id runs(first: -1) { nodes { id } } device { telemetry(keys: [""], from: "2026-01-01T00:00:00Z", to: "2026-01-02T00:00:00Z") { key } } } } }`,
		`{ activities { nodes { ... on Node { id } ...A device { ...D } trip { id } links { url } data } } } fragment A on Activity { title kind } fragment D on Device { id ... @skip(if: true) { name } presence }`,
		`{ viewer { scopes account { id } apiKey { id } } __typename }`,
		`{ trips { nodes { fee { amountMinor } current { at } } } }`,
		`{ hydration(from: "nonsense", to: "2026-01-02T00:00:00Z") { totalMl } }`,
	} {
		wantData, wantErrors := answerOf(t, reference, query)
		data, errors := answerOf(t, planned, query)
		if data != wantData || !reflect.DeepEqual(errors, wantErrors) {
			t.Errorf("%s\nreference   %s %v\nplanned %s %v", query, wantData, wantErrors, data, errors)
		}
	}
}
