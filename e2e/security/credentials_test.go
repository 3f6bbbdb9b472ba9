package security

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/e2e/harness"
	"github.com/sluicehq/sluice/internal/testserver"
)

const viewer = `{ viewer { scopes account { name } apiKey { name } } }`

// Credentials, through a gateway and an account service alone.
func TestInvalidCredentialsAreRefused(t *testing.T) {
	t.Parallel()
	data, at := t.TempDir(), "127.0.0.1:"+testserver.FreePort(t)
	service := []string{"service", "account", "--demo", "--data", data, "--services-account-listen", at}
	accounts := harness.Start(t, service...)
	p := harness.Start(t, "gateway", "--addr", "127.0.0.1:0", "--data", data, "--services-account-addr", at)
	other := harness.Start(t, "gateway", "--addr", "127.0.0.1:0", "--data", t.TempDir(), "--services-account-addr", at)
	if a := other.Execute(t, "", `mutation { login(input: {provider: DEMO, code: "alice"}) { accessToken } }`, nil); len(a.Errors) == 0 {
		t.Error("a gateway of another data folder, without a service token, may call the account service")
	}
	t.Run("tampered tokens", func(t *testing.T) { testTampered(t, p) })
	t.Run("a refresh token used twice", func(t *testing.T) { testRefreshTwice(t, p) })
	second := harness.Start(t, "gateway", "--addr", "127.0.0.1:0", "--data", data, "--services-account-addr", at)
	t.Run("logout", func(t *testing.T) { testLogout(t, p, second) })
	t.Run("api keys", func(t *testing.T) { testAPIKeys(t, p) })
	accounts.StopCleanly(t)

	harness.Start(t, append(service, "--auth-access-ttl", "8s")...)
	harness.Eventually(t, harness.Timeout, "the account service is back", func() bool { status, _ := p.Get(t, "/.well-known/jwks.json"); return status == 200 })
	t.Run("expired tokens", func(t *testing.T) { testExpired(t, p) })
	p.StopCleanly(t)
}

// testTampered changes a good token in the ways that attackers do.
func testTampered(t *testing.T, p *harness.Program) {
	good := p.SignIn(t, "alice")
	harness.Query[any](t, p, good, viewer, nil)
	parts := strings.Split(good, ".")
	encode := base64.RawURLEncoding.EncodeToString
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var says map[string]any
	if err := json.Unmarshal(claims, &says); err != nil {
		t.Fatal(err)
	}
	for _, claim := range []string{"role", "rol", "scope", "sub"} {
		if _, ok := says[claim]; ok {
			says[claim] = "ADMIN"
		}
	}
	promoted, err := json.Marshal(says)
	if err != nil {
		t.Fatal(err)
	}
	none, hmac := encode([]byte(`{"alg":"none","typ":"JWT"}`)), encode([]byte(`{"alg":"HS256","typ":"JWT"}`))
	for name, token := range map[string]string{
		"another payload":         parts[0] + "." + encode(promoted) + "." + parts[2],
		"another signature":       parts[0] + "." + parts[1] + "." + flip(parts[2], 10),
		"no signature":            parts[0] + "." + parts[1] + ".",
		"a part less":             parts[0] + "." + parts[1],
		"the algorithm none":      none + "." + parts[1] + ".",
		"none with a signature":   none + "." + parts[1] + "." + parts[2],
		"a symmetric algorithm":   hmac + "." + parts[1] + "." + parts[2],
		"no token":                "x",
		"a token that is too big": strings.Repeat("x", 40_000),
	} {
		t.Run(name, func(t *testing.T) {
			a := p.Execute(t, token, viewer, nil)
			harness.RequireError(t, a, "UNAUTHENTICATED", "TOKEN_INVALID")
			if a.Status != 401 || len(a.Data) > 0 {
				t.Errorf("status %d, data %s", a.Status, a.Data)
			}
		})
	}
}

// flip changes the letter at the place.
func flip(text string, at int) string {
	other := byte('A')
	if text[at] == other {
		other = 'B'
	}
	return text[:at] + string(other) + text[at+1:]
}

const refresh = `mutation($token: String!) { refreshSession(refreshToken: $token) { accessToken refreshToken } }`

// testRefreshTwice repeats a refresh, as two tabs do, and then steals an older token: that ends the session at once.
func testRefreshTwice(t *testing.T, p *harness.Program) {
	first := p.NewSession(t, "bob")
	other := p.NewSession(t, "bob")
	renew := func(token string) harness.Session {
		t.Helper()
		return harness.Query[struct{ RefreshSession harness.Session }](t, p, "", refresh, harness.Vars{"token": token}).RefreshSession
	}
	second := renew(first.RefreshToken)
	harness.Query[any](t, p, second.AccessToken, viewer, nil)
	if again := renew(first.RefreshToken); again.RefreshToken != second.RefreshToken {
		t.Error("a repeated refresh has another successor")
	}
	third := renew(second.RefreshToken)
	harness.Query[any](t, p, third.AccessToken, viewer, nil)
	harness.RequireError(t, p.Execute(t, "", refresh, harness.Vars{"token": first.RefreshToken}), "UNAUTHENTICATED", "REFRESH_TOKEN_REUSED")
	harness.RequireError(t, p.Execute(t, "", refresh, harness.Vars{"token": third.RefreshToken}), "UNAUTHENTICATED", "SESSION_ENDED")
	refusedWithinASecond(t, p, third.AccessToken)
	harness.Query[any](t, p, "", refresh, harness.Vars{"token": other.RefreshToken}) // another sign-in is another family
	harness.RequireError(t, p.Execute(t, "", refresh, harness.Vars{"token": "made up"}), "UNAUTHENTICATED", "REFRESH_TOKEN_UNKNOWN")
}

// refusedWithinASecond waits for the token to be refused. The bound has a margin for a busy machine.
func refusedWithinASecond(t *testing.T, p *harness.Program, token string) {
	t.Helper()
	var a harness.Response
	harness.Eventually(t, 2*time.Second, "the access token is refused", func() bool {
		a = p.Execute(t, token, viewer, nil)
		return len(a.Errors) > 0
	})
	harness.RequireError(t, a, "UNAUTHENTICATED", "SESSION_ENDED")
}

func testLogout(t *testing.T, p, other *harness.Program) {
	s := p.NewSession(t, "alice")
	for _, gateway := range []*harness.Program{p, other} {
		harness.Query[any](t, gateway, s.AccessToken, viewer, nil)
	}
	harness.Query[any](t, p, s.AccessToken, `mutation { logout }`, nil)
	harness.RequireError(t, p.Execute(t, s.AccessToken, viewer, nil), "UNAUTHENTICATED", "SESSION_ENDED")
	refusedWithinASecond(t, other, s.AccessToken)
	harness.RequireError(t, p.Execute(t, "", refresh, harness.Vars{"token": s.RefreshToken}), "UNAUTHENTICATED", "SESSION_ENDED")
}

type createdKey struct {
	Created struct {
		APIKey struct{ ID string }
		Secret string
	}
}

func testAPIKeys(t *testing.T, p *harness.Program) {
	admin := p.SignIn(t, "admin")
	const create = `mutation($input: CreateApiKeyInput!) { created: createApiKey(input: $input) { apiKey { id } secret } }`
	made := harness.Query[createdKey](t, p, admin, create, harness.Vars{"input": harness.Vars{"name": "robot", "scopes": []string{"account:read"}}}).Created
	harness.Query[any](t, p, made.Secret, viewer, nil)
	for at := range made.Secret {
		if at%9 == 8 { // some of each part
			refuseKey(t, p, flip(made.Secret, at), "API_KEY_MALFORMED")
		}
	}
	refuseKey(t, p, made.Secret[:len(made.Secret)-1], "API_KEY_MALFORMED")
	harness.RequireError(t, p.Execute(t, made.Secret, `{ trips { totalCount } }`, nil), "PERMISSION_DENIED", "SCOPE_MISSING")

	const rotate = `mutation($id: ID!) { created: rotateApiKey(id: $id) { apiKey { id } secret } }`
	rotated := harness.Query[createdKey](t, p, admin, rotate, harness.Vars{"id": made.APIKey.ID}).Created
	refuseKey(t, p, made.Secret, "API_KEY_UNKNOWN")
	harness.Query[any](t, p, rotated.Secret, viewer, nil)

	const revoke = `mutation($id: ID!) { revokeApiKey(id: $id) { revokedAt } }`
	harness.Query[any](t, p, admin, revoke, harness.Vars{"id": made.APIKey.ID})
	refuseKey(t, p, rotated.Secret, "API_KEY_REVOKED")

	soon := time.Now().Add(8 * time.Second).UTC().Format(time.RFC3339Nano)
	brief := harness.Query[createdKey](t, p, admin, create, harness.Vars{"input": harness.Vars{"name": "brief", "scopes": []string{"account:read"}, "expiresAt": soon}}).Created
	harness.Eventually(t, harness.Timeout, "the key has expired", func() bool {
		return len(p.Execute(t, brief.Secret, viewer, nil).Errors) > 0
	})
	refuseKey(t, p, brief.Secret, "API_KEY_EXPIRED")
}

func refuseKey(t *testing.T, p *harness.Program, key, reason string) {
	t.Helper()
	if a := p.Execute(t, key, viewer, nil); a.Status != 401 || len(a.Data) > 0 {
		t.Errorf("the key is answered with %d %s", a.Status, a.Data)
	} else {
		harness.RequireError(t, a, "UNAUTHENTICATED", reason)
	}
}

// testExpired waits for a token of some seconds to end, and then goes on with the refresh token.
func testExpired(t *testing.T, p *harness.Program) {
	s := p.NewSession(t, "alice")
	harness.Query[any](t, p, s.AccessToken, viewer, nil)
	var a harness.Response
	harness.Eventually(t, harness.Timeout, "the token has expired", func() bool {
		a = p.Execute(t, s.AccessToken, viewer, nil)
		return len(a.Errors) > 0
	})
	harness.RequireError(t, a, "UNAUTHENTICATED", "TOKEN_EXPIRED")
	renewed := harness.Query[struct{ RefreshSession harness.Session }](t, p, "", refresh, harness.Vars{"token": s.RefreshToken}).RefreshSession
	harness.Query[any](t, p, renewed.AccessToken, viewer, nil)
}
