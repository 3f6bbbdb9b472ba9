package account

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"time"
)

// Hash is the SHA-256 of a secret. A plain hash is enough: the secrets are random and too long to
// be guessed.
type Hash [sha256.Size]byte

// Session is a sign-in, and the family of the refresh tokens that came of it.
type Session struct {
	ID        string
	AccountID string
	CreatedAt time.Time
	ExpiresAt time.Time  // of its newest refresh token
	EndedAt   *time.Time // when it was ended, by logout or by a stolen token
}

// RefreshToken is what a store keeps of a refresh token.
type RefreshToken struct {
	Hash      Hash
	SessionID string
	ExpiresAt time.Time
	Used      bool
}

// Verdict is what is to be done about a refresh token that was presented.
type Verdict int

// The verdicts.
const (
	Rotate  Verdict = iota + 1 // give the next token
	Reused                     // it was used before: end the family
	Ended                      // the session is over
	Expired                    // it came too late
)

// Judge decides about a token of the session. That a token was used counts first: it is the sign of
// theft, whatever else is wrong.
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

// refreshTokenBytes is 256 bits: nobody guesses one.
const refreshTokenBytes = 32

func newRefreshToken() string {
	var raw [refreshTokenBytes]byte
	_, _ = rand.Read(raw[:]) // never fails: see crypto/rand
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

func hashRefreshToken(text string) Hash { return sha256.Sum256([]byte(text)) }
