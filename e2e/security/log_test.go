package security

import (
	"strings"
	"testing"

	"github.com/sluicehq/sluice/e2e/harness"
)

// The log has who signed in, who was refused, and what became of API keys, without any secret.
func TestSecurityLogHasEventsWithoutSecrets(t *testing.T) {
	t.Parallel()
	p := harness.Start(t, harness.DemoArgs(t.TempDir(), "--log-format", "json")...)
	session := p.NewSession(t, "admin")
	admin := session.AccessToken
	const create = `mutation { created: createApiKey(input: {name: "robot", scopes: ["trip:read"]}) { apiKey { id } secret } }`
	created := harness.Query[createdKey](t, p, admin, create, nil).Created
	p.Execute(t, created.Secret, `mutation { recordWater(input: {amountMl: 1}) { id } }`, nil)
	const rotate = `mutation($id: ID!) { created: rotateApiKey(id: $id) { apiKey { id } secret } }`
	rotated := harness.Query[createdKey](t, p, admin, rotate, harness.Vars{"id": created.APIKey.ID}).Created
	harness.Query[any](t, p, admin, `mutation($id: ID!) { revokeApiKey(id: $id) { id } }`, harness.Vars{"id": created.APIKey.ID})
	p.Execute(t, rotated.Secret, viewer, nil)
	p.Execute(t, "forged.access.token", viewer, nil)
	p.Execute(t, "", `mutation { login(input: {provider: DEMO, code: "mallory"}) { accessToken } }`, nil)
	renewed := harness.Query[struct{ RefreshSession harness.Session }](t, p, "", refresh, harness.Vars{"token": session.RefreshToken}).RefreshSession
	harness.Query[any](t, p, renewed.AccessToken, `mutation { logout }`, nil)
	p.StopCleanly(t)

	log := p.Stderr.String()
	for _, want := range []string{
		`"msg":"security","event":"sign-in","caller":"anonymous"`, `"account_role":"ADMIN"`, `"address":"127.0.0.1"`,
		`"event":"API key created"`, `"event":"API key rotated"`, `"event":"API key revoked"`, `"api_key":"` + created.APIKey.ID + `"`,
		`"event":"access refused","caller":"` + created.APIKey.ID + `"`, `"event":"credentials refused"`, `"reason":"TOKEN_INVALID"`,
		`"event":"sign-in refused"`, `"event":"session refresh"`, `"event":"sign-out"`, `"event":"role used"`, `"mutations":["createApiKey"]`,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the log has no %s:\n%s", want, log)
		}
	}
	for _, secret := range []string{admin, session.RefreshToken, created.Secret, rotated.Secret, renewed.AccessToken, renewed.RefreshToken, "forged.access.token"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log has the secret %s", secret)
		}
	}
}
