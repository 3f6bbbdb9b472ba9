// Package account has the identities of callers: accounts, their sessions, and the API keys of programs.
//
// An Account has a role, and identities: subjects of a provider, each of one account only. A sign-in opens a Session,
// which expires with its newest refresh token. Of the refresh tokens of a session one is valid, and each is valid
// once. An APIKey acts for one account within its own scopes.
//
// The store guarantees under concurrency: an identity has one account; a second use of a refresh token ends the
// session, because one of the two clients must be a thief (RFC 9700 section 4.14); a prefix identifies one API key; a
// revoked API key is never valid again.
//
// Refresh tokens and API keys are random, and stored as SHA-256 only. Neither is ever part of an event, an error or a
// stored result. A change and its event are one transaction. An access token cannot be revoked: after the end of its
// session it is valid until it expires, so its TTL is short.
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
