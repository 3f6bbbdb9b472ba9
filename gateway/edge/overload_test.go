package edge_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/sluicehq/sluice/bff/overload"
)

// With too much to do those who have not signed in are refused first, and health is told all the time.
func TestOverload(t *testing.T) {
	t.Parallel()
	gate := overload.New(overload.Options{
		QueueTime: time.Millisecond, Logger: slog.New(slog.DiscardHandler), Spent: func(context.Context) float64 { return 0 },
	})
	loaded := openInside(t, points(), func(o *inside) { o.admit.Overload = gate })
	alice := loaded.signIn(t, "alice")
	ask := func(headers ...string) answer {
		return loaded.do(t, post(query("{ viewer { scopes } }"), append(headers, "Accept", acceptGraphQL)...))
	}
	gate.Observe(time.Second)
	a := ask()
	if a.status != http.StatusServiceUnavailable || a.extension("reason") != "OVERLOADED" || a.code() != "UNAVAILABLE" || a.header.Get("Retry-After") == "" {
		t.Errorf("nobody is answered %d %s", a.status, a.text)
	}
	if a := ask("Authorization", alice); a.status != http.StatusOK {
		t.Errorf("alice is answered %d %s", a.status, a.text)
	}
	for range overload.Everything {
		gate.Observe(time.Second)
	}
	if a := ask("Authorization", alice); a.status != http.StatusServiceUnavailable {
		t.Errorf("at the last level alice is answered %d %s", a.status, a.text)
	}
	if a := loaded.fetch(httptest.NewRequest(http.MethodGet, "/healthz", nil)); a.status != http.StatusOK {
		t.Errorf("health is answered %d %s", a.status, a.text)
	}
	for range overload.Everything {
		gate.Observe(0)
	}
	if a := ask(); a.extension("reason") == "OVERLOADED" {
		t.Errorf("when all is calm nobody is answered %s", a.text)
	}
}

func TestReadyVerbose(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.health.Explain(func() map[string]any { return map[string]any{"services": map[string]string{"trip": "fine"}} })
	for path, want := range map[string]string{"/readyz": "", "/readyz?verbose": "fine"} {
		var said struct{ Services map[string]string }
		a := h.fetch(httptest.NewRequest(http.MethodGet, path, nil))
		if err := json.Unmarshal([]byte(a.text), &said); err != nil || a.status != http.StatusOK || said.Services["trip"] != want {
			t.Errorf("%s answers %d %s, %v", path, a.status, a.text, err)
		}
	}
}
