package edge_test

import (
	"encoding/json"
	"strings"
	"testing"
)

const (
	acceptGraphQL = "application/graphql-response+json"
	acceptJSON    = "application/json"
)

// body is a request with variables.
func body(text, variables string) string {
	quoted, _ := json.Marshal(text) // texts always encode
	return `{"query": ` + string(quoted) + `, "variables": ` + variables + `}`
}

// A document that does not run is a request error: no data, a code, 400-class for clients that
// speak the newer media type and 200 for those that do not.
func TestDocumentsThatDoNotRun(t *testing.T) {
	t.Parallel()
	h := open(t)
	who := h.signIn(t, "operator")
	jobs := `query($first: Int, $filter: DeviceFilter, $id: ID!) { devices(first: $first, filter: $filter) { nodes { id } } node(id: $id) { id } }`
	cases := []struct {
		name, body string
		code, says string
		status     int
	}{
		{"no GraphQL", query("{"), "GRAPHQL_PARSE_FAILED", "", 400},
		{"not even letters", query("\x00\x01"), "GRAPHQL_PARSE_FAILED", "", 400},
		{"too many tokens", query("{" + strings.Repeat(" a", 3000) + "}"), "INVALID_ARGUMENT", "TOO_MANY_TOKENS", 400},
		{"only a comment", query("# nothing"), "GRAPHQL_VALIDATION_FAILED", "no operation", 400},
		{"only a fragment", query("fragment f on Query { __typename }"), "GRAPHQL_VALIDATION_FAILED", "no operation", 400},
		{"an unknown field", query("{ sesame }"), "GRAPHQL_VALIDATION_FAILED", "sesame", 400},
		{"an unknown operation", `{"query": "query A { __typename } query B { __typename }", "operationName": "C"}`, "GRAPHQL_VALIDATION_FAILED", `"C"`, 400},
		{"several operations and no name", query("query A { __typename } query B { __typename }"), "GRAPHQL_VALIDATION_FAILED", "operationName", 400},
		{"a missing variable", body(jobs, `{}`), "GRAPHQL_VALIDATION_FAILED", "must be defined", 400},
		{"null for a variable that must be", body(jobs, `{"id": null}`), "GRAPHQL_VALIDATION_FAILED", "null", 400},
		{"a text for an Int", body(jobs, `{"id": "x", "first": "many"}`), "GRAPHQL_VALIDATION_FAILED", "Int", 400},
		{"digits in a text for an Int", body(jobs, `{"id": "x", "first": "5"}`), "GRAPHQL_VALIDATION_FAILED", "Int", 400},
		{"a fraction for an Int", body(jobs, `{"id": "x", "first": 1.5}`), "GRAPHQL_VALIDATION_FAILED", "the number as Int", 400},
		{"more than 32 bits for an Int", body(jobs, `{"id": "x", "first": 4294967296}`), "GRAPHQL_VALIDATION_FAILED", "Int", 400},
		{"null for a condition that has a default", body(`query($on: Boolean = true) { viewer @include(if: $on) { scopes } }`, `{"on": null}`), "GRAPHQL_VALIDATION_FAILED", "$on", 400},
		{"null for an argument that must be", body(`query($ids: [ID!] = []) { nodes(ids: $ids) { id } }`, `{"ids": null}`), "GRAPHQL_VALIDATION_FAILED", "$ids", 400},
		{"null in an input, in a fragment", body(`query($ra: Float = 1) { ...f } fragment f on Query { activities(filter: {cone: {rightAscension: $ra, declination: 1, radius: 1}}) { totalCount } }`, `{"ra": null}`),
			"GRAPHQL_VALIDATION_FAILED", "$ra", 400},
		{"an object for an ID", body(jobs, `{"id": {}}`), "GRAPHQL_VALIDATION_FAILED", "ID", 400},
		{"a truth for an ID", body(jobs, `{"id": true}`), "GRAPHQL_VALIDATION_FAILED", "ID", 400},
		{"a number for a String", body(jobs, `{"id": "x", "filter": {"nameContains": 5}}`), "GRAPHQL_VALIDATION_FAILED", "String", 400},
		{"an enum in small letters", body(jobs, `{"id": "x", "filter": {"kinds": ["sensor"]}}`), "GRAPHQL_VALIDATION_FAILED", "DeviceKind", 400},
		{"an enum that is one value, not a list", body(jobs, `{"id": "x", "filter": {"kinds": "sensor"}}`), "GRAPHQL_VALIDATION_FAILED", "DeviceKind", 400},
		{"an unknown field of an input", body(jobs, `{"id": "x", "filter": {"colour": 5}}`), "GRAPHQL_VALIDATION_FAILED", "colour", 400},
		{"too deep", query(`{ node(id: "x") { ... on Trip { ` + strings.Repeat("vehicle { currentTrip { ", 10) + "id" + strings.Repeat("}", 23)), "INVALID_ARGUMENT", "levels", 400},
		{"too many aliases", query("{ " + strings.Repeat("a: viewer { scopes } ", 31) + "}"), "INVALID_ARGUMENT", "aliases", 400},
		{"too many aliases of the schema", query("{ " + strings.Repeat("a: __schema { queryType { name } } ", 31) + "}"), "INVALID_ARGUMENT", "aliases", 400},
		{"somebody who may not", query(`mutation { createApiKey(input: {name: "x", scopes: []}) { secret } }`), "PERMISSION_DENIED", "apikey:write", 403},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for accept, status := range map[string]int{acceptGraphQL: c.status, acceptJSON: 200} {
				a := h.do(t, post(c.body, "Authorization", who, "Accept", accept))
				if a.status != status || a.code() != c.code || !strings.Contains(a.text, jsonInner(c.says)) {
					t.Errorf("%s: answered %d %s, want %d %s and a word on %s", accept, a.status, a.text, status, c.code, c.says)
				}
				if got := a.header.Get("Content-Type"); got != accept+"; charset=utf-8" {
					t.Errorf("%s: Content-Type is %s", accept, got)
				}
				if len(a.Data) > 0 {
					t.Errorf("nothing ran, and there is data: %s", a.text)
				}
				if a.extension("requestId") == "" || a.extension("reason") == "" {
					t.Errorf("the extensions lack something: %s", a.text)
				}
			}
		})
	}
}

// jsonInner is text as it stands within a JSON text.
func jsonInner(text string) string {
	quoted, _ := json.Marshal(text) // texts always encode
	return string(quoted[1 : len(quoted)-1])
}

func TestAnOperationIsChosenByName(t *testing.T) {
	t.Parallel()
	h := open(t)
	for name, c := range map[string]struct{ body, want string }{
		"the only one":     {`{"query": "query A { __typename }"}`, `{"__typename":"Query"}`},
		"the only one, ''": {`{"query": "query A { __typename }", "operationName": ""}`, `{"__typename":"Query"}`},
		"null":             {`{"query": "query A { __typename }", "operationName": null, "variables": null}`, `{"__typename":"Query"}`},
		"one of two":       {`{"query": "query A { a: __typename } query B { b: __typename }", "operationName": "B"}`, `{"b":"Query"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if a := h.do(t, post(c.body)); a.status != 200 || string(a.Data) != c.want {
				t.Errorf("answered %d %s", a.status, a.text)
			}
		})
	}
}

// What ran has data, also when nothing came of it.
func TestDataIsThereWhenSomethingRan(t *testing.T) {
	t.Parallel()
	h := open(t)
	who := h.signIn(t, "operator")
	cases := []struct{ name, body, data, code, service string }{
		{"all of it", query("{ viewer { account { name } } }"), `{"viewer":{"account":{"name":"Operator"}}}`, "", ""},
		{"a part", query("{ viewer { account { name } } trips { nodes { id } } }"),
			`{"viewer":{"account":{"name":"Operator"}},"trips":null}`, "UNAVAILABLE", "TRIP"},
		{"nothing", query(`{ trips { nodes { id } } }`), `{"trips":null}`, "UNAVAILABLE", "TRIP"},
		{"an argument that does not read", query(`{ hydration(from: "yesterday", to: "2026-01-01T00:00:00Z") { totalMl } }`),
			`{"hydration":null}`, "INVALID_ARGUMENT", ""},
		{"an id of another type", query(`{ job(id: "trip_01jd2k0f3qe8x9w5t7v6m4n2p0") { id } }`), `{"job":null}`, "INVALID_ARGUMENT", ""},
		{"a null that bubbles up to the top", query(`{ nodes(ids: [` + strings.Repeat(`"x",`, 1001) + `]) { id } }`), `null`, "INVALID_ARGUMENT", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, accept := range []string{acceptGraphQL, acceptJSON} {
				a := h.do(t, post(c.body, "Authorization", who, "Accept", accept))
				if a.status != 200 || !strings.Contains(a.text, `"data":`+c.data) || a.code() != c.code || a.extension("service") != c.service {
					t.Errorf("%s: answered %d %s", accept, a.status, a.text)
				}
			}
		})
	}
}
