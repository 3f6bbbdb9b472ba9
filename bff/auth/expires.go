package auth

import (
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Expires tells when credentials that hold stop to, for who keeps a connection open on them: the zero
// time when they last until they are revoked. It does not verify them; Caller does.
func Expires(c Credentials) time.Time {
	if c.Bearer == "" {
		return time.Time{}
	}
	var said jwt.RegisteredClaims
	if _, _, err := jwt.NewParser().ParseUnverified(c.Bearer, &said); err != nil || said.ExpiresAt == nil {
		return time.Time{}
	}
	return said.ExpiresAt.Time
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
