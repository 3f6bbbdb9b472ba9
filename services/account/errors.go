package account

import "github.com/sluicehq/sluice/internal/errs"

// The reasons of errors. They are stable: programs depend on them.
const (
	ReasonLoginRefused        = "LOGIN_REFUSED"
	ReasonProviderDisabled    = "PROVIDER_DISABLED"
	ReasonNoSession           = "NO_SESSION"
	ReasonSessionEnded        = "SESSION_ENDED"
	ReasonSessionExpired      = "SESSION_EXPIRED"
	ReasonRefreshTokenReused  = "REFRESH_TOKEN_REUSED"
	ReasonRefreshTokenUnknown = "REFRESH_TOKEN_UNKNOWN"
	ReasonAPIKeyMalformed     = "API_KEY_MALFORMED"
	ReasonAPIKeyUnknown       = "API_KEY_UNKNOWN"
	ReasonAPIKeyExpired       = "API_KEY_EXPIRED"
	ReasonAPIKeyRevoked       = "API_KEY_REVOKED"
	ReasonScopeNotHeld        = "SCOPE_NOT_HELD"
)

// The errors of sign-ins and sessions.
var (
	ErrLoginRefused        = errs.New(errs.Unauthenticated, ReasonLoginRefused, "the identity provider does not know this code")
	ErrProviderDisabled    = errs.New(errs.FailedPrecondition, ReasonProviderDisabled, "sign-in through this provider is not enabled here")
	ErrNoSession           = errs.New(errs.FailedPrecondition, ReasonNoSession, "there is no session to end: an API key has none, revoke it instead")
	ErrSessionEnded        = errs.New(errs.Unauthenticated, ReasonSessionEnded, "this session has ended: sign in again")
	ErrSessionExpired      = errs.New(errs.Unauthenticated, ReasonSessionExpired, "this session has expired: sign in again")
	ErrRefreshTokenReused  = errs.New(errs.Unauthenticated, ReasonRefreshTokenReused, "this refresh token was used before: its session has been ended, sign in again")
	ErrRefreshTokenUnknown = errs.New(errs.Unauthenticated, ReasonRefreshTokenUnknown, "this refresh token is not known: sign in again")
)

// The errors of API keys. Only a caller with the secret receives the last two.
var (
	ErrAPIKeyMalformed = errs.New(errs.Unauthenticated, ReasonAPIKeyMalformed, "this is not an API key: check for missing or mistyped characters")
	ErrAPIKeyUnknown   = errs.New(errs.Unauthenticated, ReasonAPIKeyUnknown, "this API key is not known")
	ErrAPIKeyExpired   = errs.New(errs.Unauthenticated, ReasonAPIKeyExpired, "this API key has expired")
	ErrAPIKeyRevoked   = errs.New(errs.Unauthenticated, ReasonAPIKeyRevoked, "this API key was revoked")
)
