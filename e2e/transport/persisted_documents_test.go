package transport

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/sluicehq/sluice/e2e/harness"
	"github.com/sluicehq/sluice/internal/testserver"
)

const (
	loginDocument = `mutation Login { login(input: {provider: DEMO, code: "alice"}) { accessToken } }`
	watchDocument = `subscription Watch { activityAdded { title } }`
)

// trusting is a program that runs nothing but the documents of a manifest for strangers and keys.
func trusting(t *testing.T) *harness.Program {
	t.Helper()
	manifest := filepath.Join(t.TempDir(), "manifest.json")
	text, err := json.Marshal(map[string]string{
		"login": loginDocument, "watch": watchDocument, "scopes": "{ viewer { scopes } }",
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(manifest, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return harness.Start(t, harness.DemoArgs(t.TempDir(), "--documents-manifest", manifest, "--documents-only-trusted")...)
}

func TestTrustedDocumentsOnlyRefusesOthers(t *testing.T) {
	t.Parallel()
	p := trusting(t)
	a, err := p.PostBody(t.Context(), "", []byte(`{"documentId": "login"}`))
	if err != nil {
		t.Fatal(err)
	}
	token := harness.Data[struct{ Login harness.Session }](t, a).Login.AccessToken
	harness.RequireError(t, p.Execute(t, "", "{ __typename }", nil), "PERMISSION_DENIED", "DOCUMENT_NOT_TRUSTED")
	harness.RequireError(t, p.Execute(t, p.APIKey, "{ viewer { apiKey { name } } }", nil), "PERMISSION_DENIED", "DOCUMENT_NOT_TRUSTED")
	harness.Query[any](t, p, p.APIKey, "{ viewer { scopes } }", nil)
	harness.Query[any](t, p, token, "{ viewer { account { name } } }", nil)

	events := get(t, p, url.Values{"documentId": {"watch"}}, "Accept", "text/event-stream", "X-API-Key", p.APIKey)
	defer func() { _ = events.Body.Close() }()
	if events.StatusCode != http.StatusOK || !strings.HasPrefix(events.Header.Get("Content-Type"), "text/event-stream") {
		t.Errorf("a trusted event stream: %d", events.StatusCode)
	}
	refused := get(t, p, url.Values{"query": {"subscription { activityAdded { id } }"}}, "Accept", "text/event-stream", "X-API-Key", p.APIKey)
	text, err := io.ReadAll(refused.Body)
	if err != nil || !strings.Contains(string(text), "DOCUMENT_NOT_TRUSTED") {
		t.Errorf("another event stream: %d %s, %v", refused.StatusCode, text, err)
	}

	conn := dialSocket(t, p, p.APIKey)
	for payload, says := range map[string]string{
		`{"documentId": "scopes"}`: `"data":{"viewer"`,
		`{"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "` + hashOf("{ viewer { scopes } }") + `"}}}`: `"data":{"viewer"`,
		`{"query": "{ viewer { account { name } } }"}`:                                                                "DOCUMENT_NOT_TRUSTED",
	} {
		if got := conn.once(t, payload); !strings.Contains(got, says) {
			t.Errorf("%s over a WebSocket is answered %s", payload, got)
		}
	}
}

// What one client has registered, others ask for by hash, whichever way they come.
func TestPersistedDocumentsAreExecutedByHash(t *testing.T) {
	t.Parallel()
	p := harness.Demo(t)
	text := "query Registered { viewer { scopes } }"
	persisted := fmt.Sprintf(`"extensions": {"persistedQuery": {"version": 1, "sha256Hash": %q}}`, hashOf(text))
	conn := dialSocket(t, p, p.APIKey)
	if got := conn.once(t, "{"+persisted+"}"); !strings.Contains(got, "PERSISTED_QUERY_NOT_FOUND") {
		t.Errorf("an unknown hash is answered %s", got)
	}
	if got := conn.once(t, fmt.Sprintf(`{"query": %q, %s}`, text, persisted)); !strings.Contains(got, `"data":`) {
		t.Errorf("registering is answered %s", got)
	}
	a, err := p.PostBody(t.Context(), p.APIKey, []byte("{"+persisted+"}"))
	if err != nil {
		t.Fatal(err)
	}
	harness.Data[any](t, a)
}

// Where there is a Redis, what was registered outlives the program, and is there for every other one.
func TestPersistedDocumentsInRedisOutliveProgram(t *testing.T) {
	t.Parallel()
	server := testserver.StartRedis(t)
	text := "query Shared { __typename }"
	persisted := fmt.Sprintf(`"extensions": {"persistedQuery": {"version": 1, "sha256Hash": %q}}`, hashOf(text))
	one := harness.Start(t, harness.DemoArgs(t.TempDir(), "--redis-url", server.URL())...)
	a, err := one.PostBody(t.Context(), one.APIKey, fmt.Appendf(nil, `{"query": %q, %s}`, text, persisted))
	if err != nil {
		t.Fatal(err)
	}
	harness.Data[any](t, a)
	one.StopCleanly(t)
	two := harness.Start(t, harness.DemoArgs(t.TempDir(), "--redis-url", server.URL())...)
	if a, err = two.PostBody(t.Context(), "", []byte("{"+persisted+"}")); err != nil {
		t.Fatal(err)
	}
	harness.Data[any](t, a)
}

// A manifest that cannot be trusted ends the program at once, with one line that says why.
func TestInvalidManifestIsOneLineError(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for name, c := range map[string]struct{ text, says string }{
		"a field that is not there": {`{"a": "{ nothing }"}`, `document "a": input:1:3: Cannot query field "nothing"`},
		"no GraphQL":                {`{"a": "{"}`, `document "a"`},
		"too deep":                  {`{"a": "` + strings.Repeat("{ viewer ", 20) + strings.Repeat("}", 20) + `"}`, `levels of fields`},
		"no JSON":                   {`a`, `not a JSON object`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(folder, strings.ReplaceAll(name, " ", "-")+".json")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			o := harness.Run(t, "serve", "--addr", "127.0.0.1:0", "--data", filepath.Join(t.TempDir(), "data"), "--documents-manifest", path)
			line := strings.TrimSuffix(o.Stderr, "\n")
			last := line[strings.LastIndex(line, "\n")+1:]
			if o.Code != 1 || !strings.HasPrefix(last, "sluice: ") || !strings.Contains(last, "documents.manifest") || !strings.Contains(last, c.says) {
				t.Errorf("ended with %d and said:\n%s", o.Code, o.Stderr)
			}
		})
	}
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// get sends a GET, with headers as name and value in turn.
func get(t *testing.T, p *harness.Program, values url.Values, headers ...string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL+"/graphql?"+values.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

// socket is a WebSocket that has been greeted.
type socket struct{ *websocket.Conn }

func dialSocket(t *testing.T, p *harness.Program, key string) socket {
	t.Helper()
	s := socket{p.Dial(t, http.Header{"X-API-Key": {key}})}
	s.send(t, `{"type": "connection_init"}`)
	s.receive(t)
	return s
}

func (s socket) send(t *testing.T, text string) {
	t.Helper()
	if err := s.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func (s socket) receive(t *testing.T) string {
	t.Helper()
	_, text, err := s.ReadMessage()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// once runs an operation and gives its only answer.
func (s socket) once(t *testing.T, payload string) string {
	t.Helper()
	s.send(t, `{"id": "1", "type": "subscribe", "payload": `+payload+`}`)
	answer := s.receive(t)
	if strings.Contains(answer, `"type":"next"`) {
		s.receive(t) // complete
	}
	return answer
}
