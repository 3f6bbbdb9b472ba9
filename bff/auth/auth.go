// Package auth authenticates callers by an access token or an API key.
//
// Access tokens (RS256 only) are verified here with the public keys of the account service. Whether their session has
// ended, and whether its account still has their role, is checked once in 0.8 s per session. API keys are verified by
// the account service. With CacheOptions, verdicts, refusals too, are cached for a short TTL, so that neither a busy
// caller nor one that retries invalid credentials costs a verification per request.
//
// Invalid credentials are refused: a request never becomes anonymous by mistake. A revoked key is refused at once on
// a gateway that receives the event (see Invalidate), elsewhere after the TTL. While the account service is away, known
// public keys are used longer, sessions that this gateway has checked stay accepted until an event ends them, and
// unknown sessions and API keys are UNAVAILABLE.
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

// Audience is the audience of access tokens.
const Audience = "sluice"

// apiKeyBrand is how each API key starts.
const apiKeyBrand = "sluice_"

// Authenticator verifies credentials.
type Authenticator struct {
	onRefusal func(ctx context.Context, err error) // may be nil
	accounts  bff.Accounts
	keys      *keySet
	sessions  *sessions
	apiKeys   *verdictCache // nil: verdicts are not cached
	tokens    *verdictCache
	parser    *jwt.Parser
}

// New returns an Authenticator for tokens of the issuer that caches nothing.
func New(accounts bff.Accounts, issuer string, clk clock.Clock) *Authenticator {
	return NewCached(accounts, issuer, clk, CacheOptions{})
}

// NewCached returns an Authenticator that caches verdicts.
func NewCached(accounts bff.Accounts, issuer string, clk clock.Clock, cache CacheOptions) *Authenticator {
	return &Authenticator{
		onRefusal: cache.OnRefusal,
		apiKeys:   newVerdictCache(cache, clk), tokens: newVerdictCache(cache, clk),
		sessions: newSessions(accounts, clk, cache.Entries),
		accounts: accounts,
		keys:     newKeySet(accounts, clk),
		parser: jwt.NewParser(
			jwt.WithValidMethods([]string{jwt.SigningMethodRS256.Alg()}),
			jwt.WithIssuer(issuer), jwt.WithAudience(Audience), jwt.WithExpirationRequired(),
			jwt.WithTimeFunc(clk.Now), jwt.WithLeeway(5*time.Second),
		),
	}
}

// Credentials are an access token, an API key, or none.
type Credentials struct {
	Bearer string
	APIKey string
}

// FromHeader returns the credentials in `Authorization: Bearer …` and `X-API-Key`.
func FromHeader(header http.Header) (Credentials, error) {
	if len(header["Authorization"]) > 1 || len(header["X-Api-Key"]) > 1 {
		return Credentials{}, refused("AUTHORIZATION_AMBIGUOUS", "send one access token or one API key")
	}
	c := Credentials{APIKey: strings.TrimSpace(header.Get("X-Api-Key"))} // the canonical form avoids an allocation
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

// FromRequest returns the credentials of a request. A GET for an event stream may have access_token in its URL (RFC
// 6750, section 2.3), because an EventSource cannot set headers.
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

// Caller verifies the credentials and returns their caller; the anonymous caller without any. UNAUTHENTICATED for
// invalid credentials, UNAVAILABLE if they cannot be verified now.
func (a *Authenticator) Caller(ctx context.Context, c Credentials) (caller.Caller, error) {
	who, err := a.caller(ctx, c)
	if err != nil && a.onRefusal != nil && errs.From(err).Code == errs.Unauthenticated {
		a.onRefusal(ctx, err)
	}
	return who, err
}

func (a *Authenticator) caller(ctx context.Context, c Credentials) (caller.Caller, error) {
	switch {
	case strings.HasPrefix(c.Bearer, apiKeyBrand):
		return caller.Caller{}, refused("API_KEY_AS_TOKEN", "this is an API key: send it as X-API-Key, not as Authorization: Bearer")
	case c.Bearer != "":
		who, err := a.tokens.verify(ctx, c.Bearer, func(ctx context.Context) (caller.Caller, error) { return a.bearer(ctx, c.Bearer) })
		if err == nil {
			err = a.sessions.check(ctx, who)
		}
		if err != nil {
			return caller.Caller{}, err
		}
		return who, nil
	case c.APIKey != "":
		return a.apiKeys.verify(ctx, c.APIKey, func(ctx context.Context) (caller.Caller, error) { return a.apiKey(ctx, c.APIKey) })
	}
	return caller.Caller{}, nil
}

// Cached returns the caller of a cached verdict, without a verification or a call.
func (a *Authenticator) Cached(c Credentials) (who caller.Caller, found bool) {
	switch {
	case c.Bearer != "":
		return a.tokens.cached(c.Bearer)
	case c.APIKey != "":
		return a.apiKeys.cached(c.APIKey)
	}
	return caller.Caller{}, true
}

type claims struct {
	jwt.RegisteredClaims
	Session    string      `json:"sid"`
	Generation int64       `json:"gen"`
	Role       caller.Role `json:"role"`
}

func (a *Authenticator) bearer(ctx context.Context, token string) (caller.Caller, error) {
	var content claims
	_, err := a.parser.ParseWithClaims(token, &content, func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		return a.keys.find(ctx, kid)
	})
	if err != nil {
		return caller.Caller{}, tokenRefusal(err)
	}
	if content.Subject == "" || !isAccountRole(content.Role) {
		return caller.Caller{}, refused("TOKEN_INVALID", "the access token is not valid")
	}
	return caller.Caller{
		AccountID: content.Subject, SessionID: content.Session, Generation: content.Generation, Role: content.Role, Scopes: caller.ScopesOf(content.Role), ExpiresAt: content.ExpiresAt.Time,
	}, nil
}

// isAccountRole refuses the role of Sluice itself, which credentials never have.
func isAccountRole(role caller.Role) bool {
	return role == caller.Admin || role == caller.Operator || role == caller.Member
}

func tokenRefusal(err error) error {
	if e, ok := errors.AsType[*errs.Error](err); ok {
		return e
	}
	if errors.Is(err, jwt.ErrTokenExpired) {
		return refused("TOKEN_EXPIRED", "the access token has expired: refresh the session").Because(err)
	}
	return refused("TOKEN_INVALID", "the access token is not valid").Because(err)
}

func (a *Authenticator) apiKey(ctx context.Context, key string) (caller.Caller, error) {
	found, err := a.accounts.VerifyAPIKey(ctx, key)
	if err != nil {
		return caller.Caller{}, err
	}
	role := caller.Role(found.AccountRole)
	if !isAccountRole(role) {
		return caller.Caller{}, refused("API_KEY_UNKNOWN", "the API key is not valid")
	}
	allowed := caller.ScopesOf(role)
	scopes := slices.DeleteFunc(slices.Clone(found.Scopes), func(scope string) bool { return !slices.Contains(allowed, scope) })
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

// deviceLabels returns the label limit of the key. An invalid limit is refused: it must not become no limit.
func deviceLabels(key *bff.ApiKey) (limit map[string]string, err error) {
	if len(key.DeviceLabels) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(key.DeviceLabels, &limit); err != nil {
		return nil, refused("API_KEY_UNKNOWN", "the API key is not valid").Because(err)
	}
	return limit, nil
}

func refused(reason, message string) *errs.Error {
	return errs.New(errs.Unauthenticated, reason, "%s", message)
}
