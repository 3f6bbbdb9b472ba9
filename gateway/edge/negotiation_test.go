package edge_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/gateway/edge"
)

func TestTheMediaTypeIsTheOneThatTheClientWouldRatherHave(t *testing.T) {
	t.Parallel()
	h := open(t)
	for accept, want := range map[string]string{
		"":                                acceptJSON,
		"*/*":                             acceptJSON,
		"text/html, nonsense;;, */*":      acceptJSON,
		"text/html":                       acceptJSON,
		acceptJSON + ", " + acceptGraphQL: acceptJSON,
		acceptGraphQL + ", application/json;q=0.9":                 acceptGraphQL,
		"application/json;q=0.1, " + acceptGraphQL + ";q=0.2":      acceptGraphQL,
		"*/*;q=0.1, " + acceptGraphQL:                              acceptGraphQL,
		acceptGraphQL + ";q=0, */*":                                acceptJSON,
		acceptGraphQL + ";q=nonsense, application/json;q=0.1":      acceptJSON,
		acceptGraphQL + "; charset=utf-8, application/json; q=0.9": acceptGraphQL,
		"APPLICATION/GRAPHQL-RESPONSE+JSON":                        acceptGraphQL,
		"application/json;q=0, */*":                                acceptGraphQL,
		"*/*, application/json;q=0.5":                              acceptGraphQL,
		"application/*;q=0.2, application/json;q=0.1, */*;q=0.9":   acceptGraphQL,
		"application/*, */*;q=0.1":                                 acceptJSON,
		"*/*, " + acceptGraphQL:                                    acceptJSON,
		acceptGraphQL + ", */*":                                    acceptGraphQL,
		"*/*;q=0":                                                  acceptJSON,
		"application/json;q=0":                                     acceptJSON,
	} {
		a := h.do(t, post(query("{ __typename }"), "Accept", accept))
		if got := a.header.Get("Content-Type"); got != want+"; charset=utf-8" {
			t.Errorf("Accept %q: answered as %s", accept, got)
		}
	}
}

// Long answers to queries come compressed to whoever can read it; whatever may hold a secret does not.
func TestCompression(t *testing.T) {
	t.Parallel()
	h := open(t, func(_ *edge.Parts, o *edge.Options) { o.CompressFrom = 200 })
	who := h.signIn(t, "operator")
	long := query("{ " + strings.Repeat("viewer { scopes account { name role } } ", 3) + "a: viewer { scopes } }")
	login := query(`mutation { login(input: {provider: DEMO, code: "alice"}) { accessToken refreshToken } }`)
	for _, c := range []struct {
		name, body, encoding string
		compressed           bool
	}{
		{"gzip", long, "gzip", true},
		{"as browsers ask", long, "gzip, deflate, br, zstd", true},
		{"any", long, "*", true},
		{"with a weight", long, "br;q=1, gzip; q=0.5", true},
		{"rather plain", long, "gzip;q=0.5, identity", false},
		{"refused", long, "gzip;q=0, *", false},
		{"not asked for", long, "", false},
		{"only others", long, "br", false},
		{"a short answer", query("{ __typename }"), "gzip", false},
		{"a mutation, whose answer holds secrets", login, "gzip", false},
		{"a refusal", query("{ " + strings.Repeat("nothing ", 100) + "}"), "gzip", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := h.fetch(post(c.body, "Authorization", who, "Accept-Encoding", c.encoding))
			if got := a.header.Get("Content-Encoding"); (got == "gzip") != c.compressed {
				t.Fatalf("Content-Encoding is %q", got)
			}
			plain := h.fetch(post(c.body, "Authorization", who))
			if c.body == long && !strings.Contains(strings.Join(a.header.Values("Vary"), ","), "Accept-Encoding") {
				t.Errorf("Vary is %v", a.header.Values("Vary"))
			}
			if !c.compressed {
				if !json.Valid([]byte(a.text)) {
					t.Errorf("answered %q", a.text)
				}
				return
			}
			r, err := gzip.NewReader(bytes.NewReader([]byte(a.text)))
			if err != nil {
				t.Fatal(err)
			}
			if unpacked, err := io.ReadAll(r); err != nil || string(unpacked) != plain.text {
				t.Errorf("unpacked %q, %v; want %q", unpacked, err, plain.text)
			}
			if len(a.text) >= len(plain.text) {
				t.Errorf("%d bytes became %d", len(plain.text), len(a.text))
			}
		})
	}
	never := open(t)
	if a := never.fetch(post(long, "Authorization", never.signIn(t, "operator"), "Accept-Encoding", "gzip")); a.header.Get("Content-Encoding") != "" || a.status != http.StatusOK {
		t.Errorf("0 compresses: %d %v", a.status, a.header)
	}
}
