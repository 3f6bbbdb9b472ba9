// Package account is who may call Sluice: accounts, their sign-ins, and the API keys of programs.
//
// The model. An Account has a role, and identities: names that a provider vouches for, each of them
// of one account only. A sign-in opens a Session, which lives as long as its newest refresh token.
// A session's refresh tokens are a family: one of them is good, and each is good once. An APIKey
// acts for one account within its own scopes.
//
// The invariants, kept by the store under concurrency: an identity has one account; of two uses of
// one refresh token one wins and the other ends the family, since one of the two callers must be a
// thief (RFC 9700 section 4.14); a prefix names one API key; an API key that was revoked stays so.
//
// Secrets. Refresh tokens and API keys are random and kept as SHA-256 only: who reads the database
// can use neither, and a lost one cannot be shown again. Neither ever is part of an event, an error
// or a kept result.
//
// On failure. A change and its event are one transaction. Access tokens cannot be taken back: one
// of an ended session stays good until it expires, which is why it is short-lived.
package account

import (
	"time"

	"github.com/sluicehq/sluice/internal/caller"
)

// Account is somebody who uses Sluice.
type Account struct {
	ID        string
	Name      string
	Role      caller.Role
	CreatedAt time.Time
	Version   int64 // 1 when made, one more with each change
}

// maxName bounds the name of an account or an API key, in characters.
const maxName = 200
