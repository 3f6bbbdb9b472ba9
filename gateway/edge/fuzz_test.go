package edge_test

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/bff/persisted"
	"github.com/sluicehq/sluice/bff/quota"
	"github.com/sluicehq/sluice/gateway/edge"
	"github.com/sluicehq/sluice/gateway/gqlrequest"
	"github.com/sluicehq/sluice/internal/obs"
)

// Whatever is posted, the answer is JSON of GraphQL's form, and nothing of ours went wrong.
func FuzzHandler(f *testing.F) {
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

// Whatever a whole request is, its answer comes in time, is what it says it is, and nothing of ours went
// wrong: neither a fault nor a panic.
func FuzzRequest(f *testing.F) {
	const timeout = 10 * time.Second
	faults := &journal{}
	logger := obs.NewLogger(faults, slog.LevelError, "json")
	store, err := persisted.NewMemory(1 << 20)
	if err != nil {
		f.Fatal(err)
	}
	h := openInside(f, &quota.Options{Account: 1 << 30, Anonymous: 1 << 30, InFlight: 10}, func(o *inside) {
		o.Logger, o.Introspection, o.Limits.Cost = logger, true, 1000
		o.Persisted = persisted.New(persisted.Options{Persisted: store, ByAnyone: true, Trusted: map[string]string{"me": "{ viewer { scopes } }"}})
	}, func(_ *edge.Parts, o *edge.Options) {
		o.Logger, o.RequestTimeout, o.CompressFrom = logger, timeout, 100
		o.Requests = gqlrequest.Usual()
		o.Requests.Batch = 3
	})
	who := h.signIn(f, "operator")
	for _, seed := range requestSeeds() {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, head, body string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n")))
		if err != nil {
			return // net/http answers it
		}
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		if r.Header.Get("X-Who") != "" {
			r.Header.Set("Authorization", who)
		}
		started := time.Now()
		a := h.fetch(r)
		if took := time.Since(started); took > 2*timeout {
			t.Errorf("answered after %v", took)
		}
		checkAnswer(t, a)
		if log := faults.String(); log != "" {
			t.Errorf("the log tells of a fault: %s", log)
		}
	})
}

func checkAnswer(t *testing.T, a answer) {
	t.Helper()
	if a.status == http.StatusInternalServerError {
		t.Errorf("answered %d %s", a.status, a.text)
	}
	for _, name := range []string{"X-Request-Id", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy"} {
		if a.header.Get(name) == "" {
			t.Errorf("%d is without %s", a.status, name)
		}
	}
	text := a.text
	if a.header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		plain, err := io.ReadAll(unpacked)
		if err != nil {
			t.Fatal(err)
		}
		text = string(plain)
	}
	if strings.Contains(a.header.Get("Content-Type"), "json") && !json.Valid([]byte(text)) {
		t.Errorf("answered %d, which is no JSON: %q", a.status, text)
	}
}

// requestSeeds are heads and bodies of requests.
func requestSeeds() [][2]string {
	post := "POST /graphql HTTP/1.1\nHost: x\nContent-Type: application/json\n"
	hash := persisted.Hash("{ __typename }")
	return [][2]string{
		{post + "X-Who: 1\nAccept: application/graphql-response+json;q=0.5, */*;q=0.1\nAccept-Encoding: gzip;q=1, *;q=0", `{"query": "{ viewer { scopes account { name } } }"}`},
		{post + "X-API-Key: sluice_x", `{"query": "{ __typename }"}`},
		{post + "Origin: https://app.test\nX-Forwarded-For: 1.2.3.4, x\nX-Request-Id: 7\nSluice-Cost: 1", `{"query": "{ a: __typename @include(if: true) }", "operationName": null}`},
		{post, `{"query": "{ __typename }", "extensions": {"persistedQuery": {"version": 1, "sha256Hash": "` + hash + `"}}}`},
		{post, `{"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "` + hash + `"}}}`},
		{post + "X-Who: 1", `{"documentId": "me"}`},
		{post, `[{"query": "{ __typename }"}]`},
		{post + "X-Who: 1", `[{"query": "{"}, {"documentId": "me"}, {"query": "mutation { logout }"}]`},
		{post + "X-Who: 1", `{"query": "query($n: Int, $f: TripFilter) { trips(first: $n, filter: $f) { nodes { ...t } } } fragment t on Trip { id vehicle { name } }", "variables": {"n": 1e2, "f": {"statuses": ["OPEN"]}}}`},
		{post + "X-Who: 1", `{"query": "{ nodes(ids: [\"x\", \"trip_01jd2k0f3qe8x9w5t7v6m4n2p0\"]) { id ... on Trip { id fee { currency } } ... on Device { id: name } } }"}`},
		{post, `{"query": "query A($a: JSON = {a: [1, \"\"\"x\"\"\"]}) { __schema { types { name fields { name type { ...r } } } } } fragment r on __Type { ofType { ofType { name } } }"}`},
		{post, `{"query": "mutation { login(input: {provider: DEMO, code: \"alice\"}) { accessToken } }"}`},
		{"GET /graphql?query=%7B__typename%7D&variables=%7B%22a%22%3A1%7D&operationName=&extensions=%7B%7D HTTP/1.1\nHost: x", ""},
		{"GET /graphql?documentId=me HTTP/1.1\nHost: x\nX-Who: 1", ""},
		{"GET /graphql?query=mutation%7Blogout%7D HTTP/1.1\nHost: x\nX-Who: 1", ""},
		{"OPTIONS /graphql HTTP/1.1\nHost: x\nOrigin: https://app.test\nAccess-Control-Request-Method: POST", ""},
		{"PUT /graphql HTTP/1.0\nContent-Type: text/plain", "x"},
		{"GET /graphiql/../../x HTTP/1.1\nHost: x", ""},
		{"HEAD /readyz HTTP/1.1\nHost: x", ""},
		{"GET http://x/.well-known/jwks.json?a=%zz HTTP/1.1\nHost: x", ""},
	}
}
