// Package account has the identities that may call Sluice: accounts, their sessions, and the API keys of programs.
//
// The model. An Account has a role, and identities: subjects of a provider, each of one account only. A sign-in opens
// a Session, which expires with its newest refresh token. The refresh tokens of a session are a family: one of them
// is valid, and each is valid once. An APIKey acts for one account within its own scopes.
//
// The invariants, which the store holds under concurrency: an identity has one account; of two uses of one refresh
// token the first succeeds and the second ends the session, because one of the two clients must be a thief (RFC 9700
// section 4.14); a prefix identifies one API key; a revoked API key is never valid again.
//
// Secrets. Refresh tokens and API keys are random, and stored as SHA-256 only: a reader of the database can use
// neither, and a lost one cannot be shown again. Neither is ever part of an event, an error or a stored result.
//
// On failure. A change and its event are one transaction. An access token cannot be revoked: one of an ended session
// is valid until it expires, so its TTL is short.
package account

import (
	"time"

	"github.com/sluicehq/sluice/internal/caller"
)

// Account is a user of Sluice.
type Account struct {
	ID        string
	Name      string
	Role      caller.Role
	CreatedAt time.Time
	Version   int64 // 1 at creation, and one more with each change
}

// maxName is the limit of the name of an account or an API key, in characters.
const maxName = 200
