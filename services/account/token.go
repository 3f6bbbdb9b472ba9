package account

import (
	"time"

	"github.com/sluicehq/sluice/internal/caller"
)

// Audience is the aud of every access token.
const Audience = "sluice"

// Claims are the claims of an access token (RFC 7519). Times are whole seconds.
type Claims struct {
	ID         string      // jti
	Issuer     string      // iss
	Audience   string      // aud
	AccountID  string      // sub
	SessionID  string      // sid, as in OpenID Connect's logout
	Generation int64       // gen: of the session's tokens
	Role       caller.Role // role
	IssuedAt   time.Time   // iat
	ExpiresAt  time.Time   // exp
}

// Signer signs access tokens. It is safe for concurrent use.
type Signer interface {
	// Sign encodes the claims as a JWT, signed with RS256; its header has the kid.
	Sign(claims Claims) (string, error)
	// KeySet returns the public keys of all valid tokens, as a JWK set in JSON (RFC 7517).
	KeySet() []byte
}
