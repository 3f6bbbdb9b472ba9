package account

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"time"
)

// Hash is the SHA-256 of a secret. A plain hash is enough, because the secrets are random and long.
type Hash [sha256.Size]byte

// Session is a sign-in with the family of its refresh tokens.
type Session struct {
	ID        string
	AccountID string
	CreatedAt time.Time
	ExpiresAt time.Time  // of its newest refresh token
	EndedAt   *time.Time // by logout, or by a reused token
}

// RefreshToken is a refresh token as it is stored.
type RefreshToken struct {
	Hash      Hash
	SessionID string
	ExpiresAt time.Time
	Used      bool
}

// Verdict is the decision about a refresh token that a client presents.
type Verdict int

// The verdicts.
const (
	Rotate  Verdict = iota + 1 // replace it by the next token
	Reused                     // it was used before: end the session
	Ended                      // the session has ended
	Expired                    // the token has expired
)

// Judge returns the decision about a token of the session. Reuse has priority over every other fault, because it is
// the sign of theft.
func (s Session) Judge(token RefreshToken, now time.Time) Verdict {
	switch {
	case token.Used:
		return Reused
	case s.EndedAt != nil:
		return Ended
	case !now.Before(token.ExpiresAt):
		return Expired
	}
	return Rotate
}

// refreshTokenBytes is 256 bits of randomness.
const refreshTokenBytes = 32

func newRefreshToken() string {
	var raw [refreshTokenBytes]byte
	_, _ = rand.Read(raw[:]) // never fails: see crypto/rand
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

func hashRefreshToken(text string) Hash { return sha256.Sum256([]byte(text)) }
