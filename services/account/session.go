package account

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"time"
)

// Hash is the SHA-256 of a secret. The secrets are random and long, so a plain hash is enough.
type Hash [sha256.Size]byte

// Session is a sign-in with its family of refresh tokens.
type Session struct {
	ID        string
	AccountID string
	CreatedAt time.Time
	ExpiresAt time.Time  // of its newest refresh token
	EndedAt   *time.Time // by logout, or by a reused token
}

// RefreshToken is a stored refresh token.
type RefreshToken struct {
	Hash      Hash
	SessionID string
	ExpiresAt time.Time
	Used      bool
}

// Verdict is the decision about a refresh token.
type Verdict int

// The verdicts.
const (
	Rotate  Verdict = iota + 1 // replace it by the next token
	Reused                     // used before: end the session
	Ended                      // the session has ended
	Expired                    // the token has expired
)

// Judge returns the decision about a token of the session. Reuse has priority over every other fault, because it
// indicates theft.
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

const refreshTokenBytes = 32

func newRefreshToken() string {
	var raw [refreshTokenBytes]byte
	_, _ = rand.Read(raw[:]) // never fails: see crypto/rand
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

func hashRefreshToken(text string) Hash { return sha256.Sum256([]byte(text)) }
