package edge_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/bff/persisted"
	"github.com/sluicehq/sluice/bff/quota"
)

// lending is a environment whose documents can be asked for by name.
func lending(t testing.TB, limits *quota.Options, change func(*persisted.Options)) *environment {
	t.Helper()
	store, err := persisted.NewMemory(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	options := persisted.Options{Persisted: store}
	if change != nil {
		change(&options)
	}
	return openInside(t, limits, func(o *inside) { o.Persisted = persisted.New(options) })
}

func extensions(hash string) string {
	return `{"persistedQuery": {"version": 1, "sha256Hash": "` + hash + `"}}`
}

// The protocol of automatic persisted queries, as clients of Apollo speak it.
func TestAutomaticPersistedQueries(t *testing.T) {
	t.Parallel()
	h := lending(t, nil, nil)
	who := h.signIn(t, "alice")
	text := "query Me { viewer { account { name } } }"
	hash := persisted.Hash(text)
	ask := func() *http.Request { return post(`{"extensions": `+extensions(hash)+`}`, "Authorization", who) }
	for accept, status := range map[string]int{acceptJSON: 200, acceptGraphQL: 400} {
		a := h.do(t, with(ask(), "Accept", accept))
		if a.status != status || a.code() != "PERSISTED_QUERY_NOT_FOUND" || a.Errors[0].Message != "PersistedQueryNotFound" || len(a.Data) > 0 {
			t.Errorf("%s: an unknown hash: %d %s", accept, a.status, a.text)
		}
	}
	want := `{"viewer":{"account":{"name":"Alice"}}}`
	if a := h.do(t, post(`{"query": "`+text+`", "extensions": `+extensions(hash)+`}`, "Authorization", who)); string(a.Data) != want {
		t.Fatalf("registering: %d %s", a.status, a.text)
	}
	for name, request := range map[string]*http.Request{
		"POST":               ask(),
		"GET":                get(url.Values{"extensions": {extensions(hash)}, "operationName": {"Me"}}, "Authorization", who),
		"POST by documentId": post(`{"documentId": "sha256:`+hash+`"}`, "Authorization", who),
		"GET by documentId":  get(url.Values{"documentId": {"sha256:" + hash}}, "Authorization", who),
	} {
		if a := h.do(t, request); a.status != 200 || string(a.Data) != want {
			t.Errorf("%s: %d %s", name, a.status, a.text)
		}
	}
}

func TestPersistedQueriesThatAreRefused(t *testing.T) {
	t.Parallel()
	h := lending(t, nil, nil)
	who := h.signIn(t, "alice")
	mutation := "mutation { logout }"
	h.do(t, post(`{"query": "`+mutation+`", "extensions": `+extensions(persisted.Hash(mutation))+`}`, "Authorization", h.signIn(t, "alice")))
	invalid, deep := "{ nothing }", "{ "+strings.Repeat("viewer { ", 20)+"scopes"+strings.Repeat(" }", 21)
	forbidden := `mutation { createApiKey(input: {name: \"x\", scopes: []}) { secret } }`
	for _, text := range []string{invalid, deep, forbidden} {
		plain := strings.ReplaceAll(text, `\"`, `"`)
		h.do(t, post(`{"query": "`+text+`", "extensions": `+extensions(persisted.Hash(plain))+`}`, "Authorization", who))
		if a := h.do(t, post(`{"extensions": `+extensions(persisted.Hash(plain))+`}`, "Authorization", who)); a.code() != "PERSISTED_QUERY_NOT_FOUND" {
			t.Errorf("%.40s is kept, which was refused: %s", text, a.text)
		}
	}
	for _, c := range []struct {
		name    string
		request *http.Request
		status  int
		reason  string
	}{
		{"another hash", post(`{"query": "{ __typename }", "extensions": ` + extensions(persisted.Hash("x")) + `}`), 400, "PERSISTED_QUERY_MISMATCH"},
		{"a mutation over GET", get(url.Values{"extensions": {extensions(persisted.Hash(mutation))}}, "Authorization", who), 405, "METHOD_NOT_ALLOWED"},
		{"another version", post(`{"extensions": {"persistedQuery": {"version": 2, "sha256Hash": "x"}}}`), 400, "REQUEST_MALFORMED"},
		{"no version", post(`{"extensions": {"persistedQuery": {"sha256Hash": "x"}}}`), 400, "REQUEST_MALFORMED"},
		{"no hash", post(`{"extensions": {"persistedQuery": {"version": 1}}}`), 400, "REQUEST_MALFORMED"},
		{"a hash that is a number", post(`{"extensions": {"persistedQuery": {"version": 1, "sha256Hash": 7}}}`), 400, "REQUEST_MALFORMED"},
		{"no object", post(`{"extensions": {"persistedQuery": "x"}}`), 400, "REQUEST_MALFORMED"},
		{"neither hash nor text", post(`{"extensions": {"persistedQuery": null}}`), 400, "REQUEST_MALFORMED"},
		{"an id and a hash", post(`{"documentId": "x", "extensions": ` + extensions(persisted.Hash("x")) + `}`), 400, "REQUEST_MALFORMED"},
		{"an id that is a number", post(`{"documentId": 7}`), 400, "REQUEST_MALFORMED"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if a := h.do(t, with(c.request, "Accept", acceptGraphQL)); a.status != c.status || a.extension("reason") != c.reason {
				t.Errorf("answered %d %s, want %d %s", a.status, a.text, c.status, c.reason)
			}
		})
	}
	closed := open(t)
	for _, body := range []string{`{"extensions": ` + extensions(persisted.Hash("x")) + `}`, `{"documentId": "x"}`} {
		if a := closed.do(t, post(body)); a.code() != "PERSISTED_QUERY_NOT_SUPPORTED" {
			t.Errorf("where nothing is kept: %s", a.text)
		}
	}
}

// Asking for what is not there is work too.
func TestUnknownHashCostsAPoint(t *testing.T) {
	t.Parallel()
	h := lending(t, &quota.Options{Account: 600, Anonymous: 10, InFlight: 10}, nil)
	var last answer
	for range 12 {
		last = h.do(t, post(`{"extensions": `+extensions(persisted.Hash("x"))+`}`, "Accept", acceptGraphQL))
	}
	if last.status != http.StatusTooManyRequests || last.code() != "RESOURCE_EXHAUSTED" {
		t.Errorf("the twelfth is answered %d %s", last.status, last.text)
	}
}

func TestOnlyTrustedDocuments(t *testing.T) {
	t.Parallel()
	const login = `mutation Login($code: String!) { login(input: {provider: DEMO, code: $code}) { accessToken } }`
	const me = `query Me { viewer { scopes } }`
	h := lending(t, nil, func(o *persisted.Options) {
		o.OnlyTrusted, o.Trusted = true, map[string]string{"login": login, "me": me}
	})
	signedIn := h.do(t, post(`{"documentId": "login", "variables": {"code": "alice"}}`))
	_, token, _ := strings.Cut(string(signedIn.Data), `"accessToken":"`)
	token, _, found := strings.Cut(token, `"`)
	if !found {
		t.Fatalf("a trusted mutation: %d %s", signedIn.status, signedIn.text)
	}
	for _, c := range []struct {
		name    string
		request *http.Request
		status  int
		reason  string
	}{
		{"an id", post(`{"documentId": "me"}`), 200, ""},
		{"an id over GET", get(url.Values{"documentId": {"me"}}), 200, ""},
		{"a hash", post(`{"extensions": ` + extensions(persisted.Hash(me)) + `}`), 200, ""},
		{"its text", post(query(me)), 200, ""},
		{"another text", post(query("{ viewer { scopes } }")), 403, "DOCUMENT_NOT_TRUSTED"},
		{"another text with a hash", post(`{"query": "{ __typename }", "extensions": ` + extensions(persisted.Hash("{ __typename }")) + `}`), 403, "DOCUMENT_NOT_TRUSTED"},
		{"an id that is none", post(`{"documentId": "you"}`), 403, "DOCUMENT_NOT_TRUSTED"},
		{"introspection", post(query("{ __schema { queryType { name } } }")), 403, "DOCUMENT_NOT_TRUSTED"},
		{"another text by an account", post(query("{ viewer { scopes } }"), "Authorization", "Bearer "+token), 200, ""},
		{"a mutation over GET", get(url.Values{"documentId": {"login"}, "variables": {`{"code": "bob"}`}}), 405, "METHOD_NOT_ALLOWED"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := h.do(t, with(c.request, "Accept", acceptGraphQL))
			if a.status == http.StatusUnauthorized && c.status == 200 { // let through, and then asked to sign in
				return
			}
			if a.status != c.status || a.extension("reason") != c.reason {
				t.Errorf("answered %d %s, want %d %s", a.status, a.text, c.status, c.reason)
			}
		})
	}
}
