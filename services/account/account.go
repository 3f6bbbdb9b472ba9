// Package account has the identities of callers: accounts, their sessions, and the API keys of programs.
//
// The model. An Account has a role, and identities: subjects of a provider, each of one account only. A sign-in opens
// a Session, which expires with its newest refresh token. The refresh tokens of a session are a family of generations.
// An APIKey acts for one account within its own scopes; a key that made others is their maker.
//
// The invariants, which the store holds under concurrency: an identity has one account; the newest refresh token of a
// session is exchanged once, its parent returns the same successor for a short time, and any older one ends the session,
// because one of two clients must be a thief (RFC 9700 section 4.14); a prefix identifies one API key; a revoked API key
// is never valid again, nor is a key that it made.
//
// Secrets. Refresh tokens and API keys are stored as SHA-256 only: a reader of the database can use neither, and a lost
// one cannot be shown again. The successor of a refresh token is derived from it with a key that is not in the
// database. None of them is ever part of an event, an error or a stored result.
//
// On failure. A change and its event are one transaction. Gateways check each session within a second, so that an access
// token ends with its session.
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

// maxName limits the name of an account or an API key, in characters.
const maxName = 200
