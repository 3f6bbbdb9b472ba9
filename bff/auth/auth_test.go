package auth_test

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/auth"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/services/account"
)

func bearer(token string) auth.Credentials { return auth.Credentials{Bearer: token} }

// reason is that of a refusal, "" for none.
func reason(err error) string {
	if err == nil {
		return ""
	}
	return errs.From(err).Reason
}

func TestRequestWithoutCredentialsIsAnonymous(t *testing.T) {
	t.Parallel()
	h := open(t)
	who, err := h.auth.Caller(t.Context(), auth.Credentials{})
	if err != nil || who.Known() {
		t.Errorf("nothing is presented by %+v, %v", who, err)
	}
}

func TestAccessTokenReturnsItsCaller(t *testing.T) {
	t.Parallel()
	h := open(t)
	for code, role := range map[string]caller.Role{"admin": caller.Admin, "operator": caller.Operator, "alice": caller.Member} {
		session := h.signIn(t, code)
		who, err := h.auth.Caller(t.Context(), bearer(session.AccessToken))
		if err != nil {
			t.Fatal(err)
		}
		if who.AccountID != session.Account.ID || who.Role != role || who.SessionID == "" || who.APIKeyID != "" ||
			!slices.Equal(who.Scopes, caller.ScopesOf(role)) || !who.ExpiresAt.Equal(session.ExpiresAt.Truncate(time.Second)) {
			t.Errorf("%s is taken for %+v", code, who)
		}
	}
}

func TestExpiredAccessTokenIsRefused(t *testing.T) {
	t.Parallel()
	h := open(t)
	session := h.signIn(t, "alice")
	for _, step := range []struct {
		name    string
		advance time.Duration
		reason  string
	}{
		{"at once", 0, ""},
		{"just before", account.DefaultAccessTTL - time.Second, ""},
		{"within the leeway of clocks", 5 * time.Second, ""},
		{"after", 2 * time.Second, "TOKEN_EXPIRED"},
	} {
		h.clock.Advance(step.advance)
		if _, err := h.auth.Caller(t.Context(), bearer(session.AccessToken)); reason(err) != step.reason {
			t.Errorf("%s: %v", step.name, err)
		}
	}
}

// sealed is a token with the header and claims, signed by method under key.
func sealed(t *testing.T, method jwt.SigningMethod, kid any, said jwt.MapClaims, key any) string {
	t.Helper()
	token := jwt.NewWithClaims(method, said)
	if kid != nil {
		token.Header["kid"] = kid
	}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// but is the claims with one changed; nil takes it away.
func but(said jwt.MapClaims, name string, value any) jwt.MapClaims {
	changed := jwt.MapClaims{}
	for k, v := range said {
		changed[k] = v
	}
	if changed[name] = value; value == nil {
		delete(changed, name)
	}
	return changed
}

func TestInvalidAccessTokenIsRefused(t *testing.T) {
	t.Parallel()
	h := open(t)
	private, kid := h.privateKey(t)
	now := h.clock.Now()
	said := jwt.MapClaims{
		"iss": issuer, "aud": "sluice", "sub": ids.New(ids.Account), "sid": caller.FromContext(h.asSession(t, h.signIn(t, "alice"))).SessionID, "role": "MEMBER",
		"iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	}
	sign := func(said jwt.MapClaims) string { return sealed(t, jwt.SigningMethodRS256, kid, said, private) }
	good := sign(said)
	if _, err := h.auth.Caller(t.Context(), bearer(good)); err != nil {
		t.Fatalf("the token that the others are made of does not hold: %v", err)
	}
	parts := strings.Split(good, ".")
	forged, _ := json.Marshal(but(said, "role", "ADMIN")) // texts always encode
	cases := []struct{ name, token, reason string }{
		{"no token", "sesame", "TOKEN_INVALID"},
		{"an API key", "sluice_AbCd1234_0123456789ABCDEFGHIJKLMNOPQRSTUV0AKL6h", "API_KEY_AS_TOKEN"},
		{"three empty parts", "..", "TOKEN_INVALID"},
		{"other claims under the signature", parts[0] + "." + base64.RawURLEncoding.EncodeToString(forged) + "." + parts[2], "TOKEN_INVALID"},
		{"no signature", parts[0] + "." + parts[1] + ".", "TOKEN_INVALID"},
		{"alg none", sealed(t, jwt.SigningMethodNone, kid, said, jwt.UnsafeAllowNoneSignatureType), "TOKEN_INVALID"},
		{"HS256 under the public key", sealed(t, jwt.SigningMethodHS256, kid, said, publicPEM(t, &private.PublicKey)), "TOKEN_INVALID"},
		{"RS512", sealed(t, jwt.SigningMethodRS512, kid, said, private), "TOKEN_INVALID"},
		{"another key under our name", sealed(t, jwt.SigningMethodRS256, kid, said, unknownKey(t)), "TOKEN_INVALID"},
		{"no kid", sealed(t, jwt.SigningMethodRS256, nil, said, private), "TOKEN_INVALID"},
		{"a kid that is a number", sealed(t, jwt.SigningMethodRS256, 7, said, private), "TOKEN_INVALID"},
		{"an unknown kid", sealed(t, jwt.SigningMethodRS256, "other", said, private), "TOKEN_INVALID"},
		{"another issuer", sign(but(said, "iss", "https://evil.test")), "TOKEN_INVALID"},
		{"no issuer", sign(but(said, "iss", nil)), "TOKEN_INVALID"},
		{"another audience", sign(but(said, "aud", "other")), "TOKEN_INVALID"},
		{"no audience", sign(but(said, "aud", nil)), "TOKEN_INVALID"},
		{"no expiry", sign(but(said, "exp", nil)), "TOKEN_INVALID"},
		{"not yet", sign(but(said, "nbf", now.Add(time.Minute).Unix())), "TOKEN_INVALID"},
		{"nobody", sign(but(said, "sub", nil)), "TOKEN_INVALID"},
		{"no session", sign(but(said, "sid", nil)), "TOKEN_INVALID"},
		{"no role", sign(but(said, "role", nil)), "TOKEN_INVALID"},
		{"an unknown role", sign(but(said, "role", "ROOT")), "TOKEN_INVALID"},
		{"Sluice itself", sign(but(said, "role", "SYSTEM")), "TOKEN_INVALID"},
		{"expired", sign(but(said, "exp", now.Add(-time.Minute).Unix())), "TOKEN_EXPIRED"},
		{"expired and tampered with", sealed(t, jwt.SigningMethodRS256, kid, but(said, "exp", 1), unknownKey(t)), "TOKEN_INVALID"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			who, err := h.auth.Caller(t.Context(), bearer(c.token))
			if errs.From(err) == nil || errs.From(err).Code != errs.Unauthenticated || reason(err) != c.reason {
				t.Errorf("taken for %+v, %v", who, err)
			}
		})
	}
}

func publicPEM(t *testing.T, key *rsa.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// privateKey is the key that the account service signs under.
func (h *fixture) privateKey(t *testing.T) (*rsa.PrivateKey, string) {
	t.Helper()
	stored, err := h.keys.SigningKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(stored[0].PEM))
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	key := parsed.(*rsa.PrivateKey)
	return key, kidOf(&key.PublicKey)
}

// An API key may do what it was given, as far as its account still may.
func TestAPIKeyHasOnlyScopesOfItsAccount(t *testing.T) {
	t.Parallel()
	h := open(t)
	admin := h.signIn(t, "admin")
	ctx := caller.NewContext(t.Context(), caller.Caller{
		AccountID: admin.Account.ID, Role: caller.Admin, Scopes: caller.ScopesOf(caller.Admin),
	})
	made, err := h.accounts.CreateAPIKey(ctx, bff.CreateApiKeyInput{Name: "x", Scopes: []string{caller.TripRead, caller.DeviceWrite}, DeviceLabels: bff.JSON(`{"site":"north"}`)})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		role   caller.Role
		scopes []string
	}{
		{caller.Admin, []string{caller.DeviceWrite, caller.TripRead}},
		{caller.Operator, []string{caller.TripRead}},
		{caller.Member, []string{caller.TripRead}},
	} {
		h.giveRole(t, "admin", step.role)
		who, err := h.auth.Caller(t.Context(), auth.Credentials{APIKey: *made.Secret})
		slices.Sort(who.Scopes)
		if err != nil || who.AccountID != admin.Account.ID || who.APIKeyID != made.APIKey.ID || who.SessionID != "" ||
			who.Role != step.role || !maps.Equal(who.DeviceLabels, map[string]string{"site": "north"}) || !slices.Equal(who.Scopes, step.scopes) {
			t.Errorf("as %s it is taken for %+v, %v", step.role, who, err)
		}
	}
	if _, err := h.accounts.RevokeAPIKey(ctx, made.APIKey.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := h.auth.Caller(t.Context(), auth.Credentials{APIKey: *made.Secret}); err == nil {
		t.Error("a revoked key holds")
	}
}

func TestFromHeaderReadsOneCredential(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		header http.Header
		want   auth.Credentials
		reason string
	}{
		{"nothing", http.Header{}, auth.Credentials{}, ""},
		{"empty headers", http.Header{"Authorization": {""}, "X-Api-Key": {" "}}, auth.Credentials{}, ""},
		{"a token", http.Header{"Authorization": {"Bearer a.b.c"}}, auth.Credentials{Bearer: "a.b.c"}, ""},
		{"a token, small letters", http.Header{"Authorization": {"bearer a.b.c"}}, auth.Credentials{Bearer: "a.b.c"}, ""},
		{"a token after spaces", http.Header{"Authorization": {"Bearer   a.b.c "}}, auth.Credentials{Bearer: "a.b.c"}, ""},
		{"a key", http.Header{"X-Api-Key": {" k "}}, auth.Credentials{APIKey: "k"}, ""},
		{"no scheme", http.Header{"Authorization": {"a.b.c"}}, auth.Credentials{}, "AUTHORIZATION_MALFORMED"},
		{"another scheme", http.Header{"Authorization": {"Basic YTpi"}}, auth.Credentials{}, "AUTHORIZATION_MALFORMED"},
		{"no token", http.Header{"Authorization": {"Bearer "}}, auth.Credentials{}, "AUTHORIZATION_MALFORMED"},
		{"a scheme alone", http.Header{"Authorization": {"Bearer"}}, auth.Credentials{}, "AUTHORIZATION_MALFORMED"},
		{"both", http.Header{"Authorization": {"Bearer a.b.c"}, "X-Api-Key": {"k"}}, auth.Credentials{}, "AUTHORIZATION_AMBIGUOUS"},
		{"two tokens", http.Header{"Authorization": {"Bearer a.b.c", "Bearer d.e.f"}}, auth.Credentials{}, "AUTHORIZATION_AMBIGUOUS"},
		{"two keys", http.Header{"X-Api-Key": {"k", "l"}}, auth.Credentials{}, "AUTHORIZATION_AMBIGUOUS"},
		{"a key and a malformed token", http.Header{"Authorization": {"k"}, "X-Api-Key": {"k"}}, auth.Credentials{}, "AUTHORIZATION_MALFORMED"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := auth.FromHeader(c.header)
			if got != c.want || reason(err) != c.reason {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}
