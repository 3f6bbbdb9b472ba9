package account

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
)

// Hash is the SHA-256 of a secret. The secrets are random and long, so a plain hash is enough.
type Hash [sha256.Size]byte

// Session is a sign-in with its family of refresh tokens.
type Session struct {
	ID         string
	AccountID  string
	CreatedAt  time.Time
	ExpiresAt  time.Time  // of its newest refresh token
	EndedAt    *time.Time // by logout, or by a reused token
	Generation int64      // of its newest tokens: 1 at the sign-in, and one more with each refresh
	Seen       int64      // the newest generation of which an access token was used
	RotatedAt  time.Time  // when the newest generation was made
}

// RefreshToken is a stored refresh token.
type RefreshToken struct {
	Hash       Hash
	SessionID  string
	ExpiresAt  time.Time
	Generation int64
}

// Verdict is the decision about a refresh token.
type Verdict int

// The verdicts.
const (
	Rotate  Verdict = iota + 1 // replace it by the next token
	Repeat                     // its successor is the newest token: return that again
	Reused                     // it was used before: end the session
	Ended                      // the session has ended
	Expired                    // the token has expired
)

// How long a token that was used returns its successor again. Two tabs refresh within moments, and a client whose
// response was lost retries while the successor is unused.
const (
	repeatFor       = 10 * time.Second
	repeatUnusedFor = time.Minute
)

// Judge returns the decision about a token of the session. Reuse has priority over every other fault, because it is
// the sign of theft.
func (s Session) Judge(token RefreshToken, now time.Time) Verdict {
	newest := token.Generation == s.Generation
	switch {
	case !newest && !s.repeats(token, now):
		return Reused
	case s.EndedAt != nil:
		return Ended
	case !newest:
		return Repeat
	case !now.Before(token.ExpiresAt):
		return Expired
	}
	return Rotate
}

// repeats reports whether the token is the parent of the newest token, for a short time.
func (s Session) repeats(token RefreshToken, now time.Time) bool {
	since := now.Sub(s.RotatedAt)
	return token.Generation == s.Generation-1 && (since < repeatFor || since < repeatUnusedFor && s.Seen < s.Generation)
}

// SessionUse is an access token that a gateway was presented.
type SessionUse struct {
	SessionID  string
	Generation int64
}

// LiveSession is a session that has not ended, with the present role of its account.
type LiveSession struct {
	SessionID string
	Role      caller.Role
}

// refreshTokenBytes is 256 bits of randomness.
const refreshTokenBytes = 32

// refreshTokenLength is the length of its text: base64 without padding.
const refreshTokenLength = (refreshTokenBytes*8 + 5) / 6

func newRefreshToken() string {
	var raw [refreshTokenBytes]byte
	_, _ = rand.Read(raw[:]) // never fails: see crypto/rand
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// successors returns the tokens that replace a refresh token, the one of the newest sealing key first. They follow from
// the token, so that a repeated refresh returns the same one, while the store has only hashes.
func (s *Service) successors(token string) []string {
	secrets := s.options.Derive("refresh token", []byte(token))
	next := make([]string, len(secrets))
	for i, secret := range secrets {
		next[i] = base64.RawURLEncoding.EncodeToString(secret)
	}
	return next
}

func hashRefreshToken(text string) Hash { return sha256.Sum256([]byte(text)) }
