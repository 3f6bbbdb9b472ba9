package account

import (
	"context"
	"errors"
	"time"

	"github.com/sluicehq/sluice/internal/idempotency"
)

// Store persists accounts, sessions and API keys. Each method is one transaction, which also emits the event of the
// change. It is safe for concurrent use.
type Store interface {
	Accounts
	Sessions
	APIKeys
}

// Accounts is the part of Store for accounts.
type Accounts interface {
	// EnsureAccount returns the account of the provider's subject. If there is none it stores candidate; of
	// concurrent calls one does. Event: account.created.
	EnsureAccount(ctx context.Context, provider, subject string, candidate Account) (Account, error)
	// GetAccounts returns the accounts of the ids, in any order.
	GetAccounts(ctx context.Context, ids []string) ([]Account, error)
}

// Sessions is the part of Store for sessions.
type Sessions interface {
	// OpenSession stores a new session and its first refresh token.
	OpenSession(ctx context.Context, session Session, first Hash) error
	// UseRefreshToken applies Session.Judge to the presented token; uses of one family are serial. On Rotate the
	// token is used, and next is valid until expires. On Reused the session ends (event: session.ended, unless it had
	// ended). ErrRefreshTokenUnknown without such a token.
	UseRefreshToken(ctx context.Context, presented, next Hash, expires, now time.Time) (Use, error)
	// EndSession ends a session, if it is open. Event: session.ended.
	EndSession(ctx context.Context, id string, now time.Time) error
	// EndSessionOf ends the session of the refresh token, like EndSession.
	EndSessionOf(ctx context.Context, token Hash, now time.Time) error
	// DeleteExpired deletes at most limit refresh tokens, and at most limit sessions without tokens, that expired
	// before the time.
	DeleteExpired(ctx context.Context, before time.Time, limit int) error
}

// Use is a decision, with its session and account.
type Use struct {
	Verdict Verdict
	Session Session
	Account Account
}

// APIKeys is the part of Store for API keys.
type APIKeys interface {
	// CreateAPIKey stores a new key with the hash of its secret. A retry under an idempotency key returns the first
	// APIKey. ErrPrefixTaken if another key has the prefix. Event: apikey.created.
	CreateAPIKey(ctx context.Context, once idempotency.Key, key APIKey, secret Hash) (APIKey, error)
	// RotateAPIKey applies APIKey.Rotate, and replaces the hash. NOT_FOUND without such a key; ErrPrefixTaken if
	// another key has the prefix. Event: apikey.rotated.
	RotateAPIKey(ctx context.Context, id, prefix string, secret Hash, now time.Time) (APIKey, error)
	// RevokeAPIKey applies APIKey.Revoke. NOT_FOUND without such a key. Event: apikey.revoked, at the first call.
	RevokeAPIKey(ctx context.Context, id string, now time.Time) (APIKey, error)
	// FindAPIKey returns the key with the prefix, and its hash. ErrAPIKeyUnknown and the zero Hash if there is none.
	FindAPIKey(ctx context.Context, prefix string) (APIKey, Hash, error)
	// TouchAPIKey stores the time of a use, unless the stored time is after since. It emits no event.
	TouchAPIKey(ctx context.Context, id string, now, since time.Time) error
	// ListAPIKeys returns the keys of the account, or of all accounts for "", the newest first.
	ListAPIKeys(ctx context.Context, accountID string, limit int) ([]APIKey, error)
	// GetAPIKeys returns the keys of the ids, in any order.
	GetAPIKeys(ctx context.Context, ids []string) ([]APIKey, error)
}

// ErrPrefixTaken reports a prefix that another API key has: retry with another one.
var ErrPrefixTaken = errors.New("the prefix belongs to another API key")
