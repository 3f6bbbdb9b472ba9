package account

import (
	"context"
	"errors"
	"time"

	"github.com/sluicehq/sluice/internal/idempotency"
)

// Store keeps accounts, sessions and API keys. Each method is one transaction: all of it happens, or
// nothing. Each change emits its event in that transaction. It is safe for concurrent use.
type Store interface {
	Accounts
	Sessions
	APIKeys
}

// Accounts is the part of Store that keeps accounts.
type Accounts interface {
	// EnsureAccount gives the account of the provider's subject. When there is none it keeps
	// candidate as that; of many calls at once one does. Event: account.created.
	EnsureAccount(ctx context.Context, provider, subject string, candidate Account) (Account, error)
	// GetAccounts gives those that there are, in no promised order.
	GetAccounts(ctx context.Context, ids []string) ([]Account, error)
}

// Sessions is the part of Store that keeps sign-ins.
type Sessions interface {
	// OpenSession keeps a new session and its first refresh token.
	OpenSession(ctx context.Context, session Session, first Hash) error
	// UseRefreshToken applies Session.Judge to the presented token, one use of a family at a time:
	// on Rotate the token becomes used and next takes its place until expires; on Reused the
	// session ends (event: session.ended, unless it had ended before). ErrRefreshTokenUnknown when
	// there is no such token.
	UseRefreshToken(ctx context.Context, presented, next Hash, expires, now time.Time) (Use, error)
	// EndSession ends a session; one that has ended, or does not exist, is left alone. Event:
	// session.ended.
	EndSession(ctx context.Context, id string, now time.Time) error
	// EndSessionOf does the same to the session that the refresh token belongs to.
	EndSessionOf(ctx context.Context, token Hash, now time.Time) error
	// DeleteExpired forgets at most limit refresh tokens, and at most limit sessions without any,
	// that expired before the time.
	DeleteExpired(ctx context.Context, before time.Time, limit int) error
}

// Use is what came of a refresh token that was presented.
type Use struct {
	Verdict Verdict
	Session Session
	Account Account
}

// APIKeys is the part of Store that keeps API keys.
type APIKeys interface {
	// CreateAPIKey keeps a new key with the hash of its secret. Under an idempotency key that was
	// seen before it gives the first call's APIKey. ErrPrefixTaken when another key has the prefix.
	// Event: apikey.created.
	CreateAPIKey(ctx context.Context, once idempotency.Key, key APIKey, secret Hash) (APIKey, error)
	// RotateAPIKey applies APIKey.Rotate and keeps the new secret's hash in place of the old one's.
	// NOT_FOUND when there is no such key, ErrPrefixTaken as above. Event: apikey.rotated.
	RotateAPIKey(ctx context.Context, id, prefix string, secret Hash, now time.Time) (APIKey, error)
	// RevokeAPIKey applies APIKey.Revoke. NOT_FOUND when there is no such key. Event:
	// apikey.revoked, the first time.
	RevokeAPIKey(ctx context.Context, id string, now time.Time) (APIKey, error)
	// FindAPIKey gives the key with the prefix, and its secret's hash. ErrAPIKeyUnknown and the
	// zero Hash when there is none.
	FindAPIKey(ctx context.Context, prefix string) (APIKey, Hash, error)
	// TouchAPIKey notes a use of the key, unless one was noted after since. No event.
	TouchAPIKey(ctx context.Context, id string, now, since time.Time) error
	// ListAPIKeys gives keys of the account, or of all for "", the newest first.
	ListAPIKeys(ctx context.Context, accountID string, limit int) ([]APIKey, error)
	// GetAPIKeys gives those that there are, in no promised order.
	GetAPIKeys(ctx context.Context, ids []string) ([]APIKey, error)
}

// ErrPrefixTaken says that another API key has the prefix: try another one.
var ErrPrefixTaken = errors.New("the prefix belongs to another API key")
