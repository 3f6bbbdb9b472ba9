package edge_test

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

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
		name, body, accepted, encoding string
	}{
		{"gzip", long, "gzip", "gzip"},
		{"as browsers ask", long, "gzip, deflate, br, zstd", "zstd"},
		{"rather gzip", long, "gzip, zstd;q=0.5", "gzip"},
		{"with a weight", long, "br;q=1, gzip; q=0.5", "gzip"},
		{"refused", long, "gzip;q=0, *", ""},
		{"not asked for", long, "", ""},
		{"only others", long, "br", ""},
		{"a short answer", query("{ __typename }"), "gzip", ""},
		{"a mutation, whose answer holds secrets", login, "gzip, zstd", ""},
		{"a refusal", query("{ " + strings.Repeat("nothing ", 100) + "}"), "gzip", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := h.fetch(post(c.body, "Authorization", who, "Accept-Encoding", c.accepted))
			if got := a.header.Get("Content-Encoding"); got != c.encoding {
				t.Fatalf("Content-Encoding is %q", got)
			}
			plain := h.fetch(post(c.body, "Authorization", who))
			if c.body == long && !strings.Contains(strings.Join(a.header.Values("Vary"), ","), "Accept-Encoding") {
				t.Errorf("Vary is %v", a.header.Values("Vary"))
			}
			if c.encoding == "" {
				if !json.Valid([]byte(a.text)) {
					t.Errorf("answered %q", a.text)
				}
				return
			}
			if unpacked := unpack(t, c.encoding, a.text); unpacked != plain.text {
				t.Errorf("unpacked %q; want %q", unpacked, plain.text)
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

func unpack(t *testing.T, encoding, text string) string {
	t.Helper()
	var r io.Reader
	var err error
	if encoding == "zstd" {
		r, err = zstd.NewReader(strings.NewReader(text))
	} else {
		r, err = gzip.NewReader(strings.NewReader(text))
	}
	if err != nil {
		t.Fatal(err)
	}
	unpacked, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(unpacked)
}
