// Package auth finds out who is calling: whoever signed an access token, or holds an API key.
//
// Access tokens are verified here, under the public keys of the account service, so that most
// requests cost no call; only RS256 is taken. API keys are verified by the account service. With a
// Memory what credentials were found to be is kept for a moment, refusals too, so that neither a busy
// nor a stubborn caller costs a verification each time; a key that is revoked is void at once where
// that is known (see Forget), elsewhere when the moment is over. What is presented and does not hold is refused:
// nobody is let in as anonymous by mistake.
package auth

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
)

// Audience is whom access tokens are for.
const Audience = "sluice"

// Authenticator tells who is calling.
type Authenticator struct {
	accounts bff.Accounts
	keys     *keySet
	apiKeys  *remembered // what they were found to be; nil keeps nothing
	tokens   *remembered // the same for access tokens
	parser   *jwt.Parser
}

// New verifies tokens of the issuer, and remembers nothing.
func New(accounts bff.Accounts, issuer string, clk clock.Clock) *Authenticator {
	return Remembering(accounts, issuer, clk, Memory{})
}

// Remembering is New, with a memory of verdicts.
func Remembering(accounts bff.Accounts, issuer string, clk clock.Clock, memory Memory) *Authenticator {
	return &Authenticator{
		apiKeys: newRemembered(memory, clk), tokens: newRemembered(memory, clk),
		accounts: accounts,
		keys:     newKeySet(accounts, clk),
		parser: jwt.NewParser(
			jwt.WithValidMethods([]string{jwt.SigningMethodRS256.Alg()}),
			jwt.WithIssuer(issuer), jwt.WithAudience(Audience), jwt.WithExpirationRequired(),
			jwt.WithTimeFunc(clk.Now), jwt.WithLeeway(5*time.Second),
		),
	}
}

// Credentials are what a request presents.
type Credentials struct {
	Bearer string
	APIKey string
}

// FromHeader reads `Authorization: Bearer …` and `X-API-Key`.
func FromHeader(header http.Header) (Credentials, error) {
	if len(header["Authorization"]) > 1 || len(header["X-Api-Key"]) > 1 {
		return Credentials{}, refused("AUTHORIZATION_AMBIGUOUS", "send one access token or one API key")
	}
	c := Credentials{APIKey: strings.TrimSpace(header.Get("X-Api-Key"))} // canonical: the look-up costs nothing then
	if value := header.Get("Authorization"); value != "" {
		scheme, token, _ := strings.Cut(value, " ")
		if !strings.EqualFold(scheme, "Bearer") || strings.TrimSpace(token) == "" {
			return Credentials{}, refused("AUTHORIZATION_MALFORMED", "the Authorization header must be: Bearer, a space, and an access token")
		}
		c.Bearer = strings.TrimSpace(token)
	}
	if c.Bearer != "" && c.APIKey != "" {
		return Credentials{}, refused("AUTHORIZATION_AMBIGUOUS", "send an access token or an API key, not both")
	}
	return c, nil
}

// FromRequest is FromHeader. A GET for an event stream may also present an access token as
// access_token in its URL (RFC 6750, section 2.3), because an EventSource can set no headers.
func FromRequest(r *http.Request) (Credentials, error) {
	c, err := FromHeader(r.Header)
	if err != nil || r.Method != http.MethodGet || !strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		return c, err
	}
	token := r.URL.Query().Get("access_token")
	if token == "" {
		return c, nil
	}
	if c != (Credentials{}) {
		return Credentials{}, refused("AUTHORIZATION_AMBIGUOUS", "send an access token once")
	}
	return Credentials{Bearer: token}, nil
}

// Caller tells who presents the credentials; nobody when there are none. Credentials that do not
// hold are UNAUTHENTICATED; UNAVAILABLE when it cannot be told.
func (a *Authenticator) Caller(ctx context.Context, c Credentials) (caller.Caller, error) {
	switch {
	case c.Bearer != "":
		return a.tokens.find(ctx, c.Bearer, func(ctx context.Context) (caller.Caller, error) { return a.bearer(ctx, c.Bearer) })
	case c.APIKey != "":
		return a.apiKeys.find(ctx, c.APIKey, func(ctx context.Context) (caller.Caller, error) { return a.apiKey(ctx, c.APIKey) })
	}
	return caller.Caller{}, nil
}

// Known is Caller as far as it is remembered: it verifies nothing and asks nobody.
func (a *Authenticator) Known(c Credentials) (who caller.Caller, held bool) {
	switch {
	case c.Bearer != "":
		return a.tokens.known(c.Bearer)
	case c.APIKey != "":
		return a.apiKeys.known(c.APIKey)
	}
	return caller.Caller{}, true
}

// claims are what an access token says.
type claims struct {
	jwt.RegisteredClaims
	Session string      `json:"sid"`
	Role    caller.Role `json:"role"`
}

func (a *Authenticator) bearer(ctx context.Context, token string) (caller.Caller, error) {
	var said claims
	_, err := a.parser.ParseWithClaims(token, &said, func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		return a.keys.find(ctx, kid)
	})
	if err != nil {
		return caller.Caller{}, tokenRefusal(err)
	}
	if said.Subject == "" || !isOfAccounts(said.Role) {
		return caller.Caller{}, refused("TOKEN_INVALID", "the access token does not hold")
	}
	return caller.Caller{
		AccountID: said.Subject, SessionID: said.Session, Role: said.Role, Scopes: caller.ScopesOf(said.Role), ExpiresAt: said.ExpiresAt.Time,
	}, nil
}

// isOfAccounts tells the roles that an account may have. Sluice itself never comes in by the gate.
func isOfAccounts(role caller.Role) bool {
	return role == caller.Admin || role == caller.Operator || role == caller.Member
}

func tokenRefusal(err error) error {
	if e, ok := errors.AsType[*errs.Error](err); ok {
		return e
	}
	if errors.Is(err, jwt.ErrTokenExpired) {
		return refused("TOKEN_EXPIRED", "the access token has expired: refresh the session").Because(err)
	}
	return refused("TOKEN_INVALID", "the access token does not hold").Because(err)
}

// apiKey gives the key's scopes, as far as its account still has them.
func (a *Authenticator) apiKey(ctx context.Context, key string) (caller.Caller, error) {
	found, err := a.accounts.VerifyAPIKey(ctx, key)
	if err != nil {
		return caller.Caller{}, err
	}
	role := caller.Role(found.AccountRole)
	if !isOfAccounts(role) {
		return caller.Caller{}, refused("API_KEY_UNKNOWN", "the API key does not hold")
	}
	held := caller.ScopesOf(role)
	scopes := slices.DeleteFunc(slices.Clone(found.Scopes), func(scope string) bool { return !slices.Contains(held, scope) })
	limit, err := deviceLabels(found)
	if err != nil {
		return caller.Caller{}, err
	}
	who := caller.Caller{
		AccountID: found.AccountID, APIKeyID: found.ID, Role: role, Scopes: scopes,
		DeviceLabels: limit, PointsPerMinute: found.PointsPerMinute,
	}
	if found.ExpiresAt != nil {
		who.ExpiresAt = *found.ExpiresAt
	}
	return who, nil
}

// deviceLabels is the limit of the key. A limit that does not read must not become none.
func deviceLabels(key *bff.ApiKey) (limit map[string]string, err error) {
	if len(key.DeviceLabels) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(key.DeviceLabels, &limit); err != nil {
		return nil, refused("API_KEY_UNKNOWN", "the API key does not hold").Because(err)
	}
	return limit, nil
}

func refused(reason, message string) *errs.Error {
	return errs.New(errs.Unauthenticated, reason, "%s", message)
}
