package edge_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/services/account"
)

// Credentials that do not hold are refused before anything is parsed, by 401 whatever the client accepts.
func TestCredentialsThatDoNotHold(t *testing.T) {
	t.Parallel()
	h := open(t)
	good := h.signIn(t, "alice")
	expired, err := h.signer.Sign(account.Claims{
		ID: "1", Issuer: issuer, Audience: "sluice", AccountID: ids.New(ids.Account), SessionID: ids.New(ids.Session),
		Role: caller.Member, IssuedAt: h.clock.Now().Add(-time.Hour), ExpiresAt: h.clock.Now().Add(-time.Minute),
	})
	if err != nil {
		t.Fatal(err)
	}
	payload := strings.Index(good, ".") + 5
	tampered := good[:payload] + string(good[payload]^1) + good[payload+1:]
	cases := []struct{ name, header, value, reason string }{
		{"expired", "Authorization", "Bearer " + expired, "TOKEN_EXPIRED"},
		{"tampered", "Authorization", tampered, "TOKEN_INVALID"},
		{"no token at all", "Authorization", "Bearer sesame", "TOKEN_INVALID"},
		{"another scheme", "Authorization", "Basic YWxpY2U6", "AUTHORIZATION_MALFORMED"},
		{"no API key at all", "X-API-Key", "sesame", "API_KEY_MALFORMED"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, accept := range []string{acceptJSON, acceptGraphQL} {
				a := h.do(t, post("{ this is not even JSON", c.header, c.value, "Accept", accept))
				if a.status != http.StatusUnauthorized || a.code() != "UNAUTHENTICATED" || a.extension("reason") != c.reason {
					t.Errorf("answered %d %s, want 401 %s", a.status, a.text, c.reason)
				}
				if !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer") {
					t.Error("401 does not say how to authenticate")
				}
				if strings.Contains(a.text, c.value) {
					t.Errorf("the answer repeats the secret: %s", a.text)
				}
			}
		})
	}
}

func TestAnonymousCallerIsAskedToSignIn(t *testing.T) {
	t.Parallel()
	h := open(t)
	for accept, status := range map[string]int{acceptGraphQL: http.StatusUnauthorized, acceptJSON: http.StatusOK} {
		a := h.do(t, post(query("{ trips { nodes { id } } }"), "Accept", accept))
		if a.status != status || a.code() != "UNAUTHENTICATED" || a.extension("reason") != "SIGN_IN_REQUIRED" {
			t.Errorf("%s: answered %d %s", accept, a.status, a.text)
		}
		if (a.header.Get("WWW-Authenticate") != "") != (status == http.StatusUnauthorized) {
			t.Errorf("%s: WWW-Authenticate is %q", accept, a.header.Get("WWW-Authenticate"))
		}
	}
}

func TestAnAPIKeyActsForItsAccount(t *testing.T) {
	t.Parallel()
	h := open(t)
	made := h.do(t, post(query(`mutation { createApiKey(input: {name: "x", scopes: ["trip:read"]}) { secret } }`),
		"Authorization", h.signIn(t, "admin")))
	_, secret, _ := strings.Cut(string(made.Data), `"secret":"`)
	secret, _, _ = strings.Cut(secret, `"`)
	a := h.do(t, post(query("{ viewer { scopes account { name } apiKey { name } } }"), "X-API-Key", secret))
	if a.code() != "PERMISSION_DENIED" && !strings.Contains(string(a.Data), `"scopes":["trip:read"]`) {
		t.Errorf("answered %d %s", a.status, a.text)
	}
	a = h.do(t, post(query("{ viewer { scopes apiKey { name } } jobs { nodes { id } } }"), "X-API-Key", secret))
	if a.code() != "PERMISSION_DENIED" {
		t.Errorf("a key does what it may not: %d %s", a.status, a.text)
	}
}
