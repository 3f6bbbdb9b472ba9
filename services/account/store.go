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
	// UseRefreshToken applies Session.Judge to the presented token, and serializes the uses of one family. On Rotate
	// next[0] becomes the newest token, valid until expires. On Repeat the newest token is one of next; otherwise the
	// verdict is Reused. On Reused the session ends (event: session.ended, unless it had ended).
	// ErrRefreshTokenUnknown when there is no such token.
	UseRefreshToken(ctx context.Context, presented Hash, next []Hash, expires, now time.Time) (Use, error)
	// CheckSessions returns those of the sessions that have not ended, and of these the uses whose generation is the
	// newest and not noted yet.
	CheckSessions(ctx context.Context, uses []SessionUse) (live []LiveSession, unseen []SessionUse, err error)
	// SeeSessions notes that access tokens of the generations were used. It emits no event.
	SeeSessions(ctx context.Context, uses []SessionUse) error
	// EndSession ends a session. It does nothing for one that has ended or does not exist. Event: session.ended.
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
	Next    int // on Rotate and Repeat: the newest token, as an index of next
	Session Session
	Account Account
}

// APIKeys is the part of Store for API keys.
type APIKeys interface {
	// CreateAPIKey stores a new key with the hash of its secret, as APIKey.MadeBy returns it for a maker other than "". A
	// retry under an idempotency key returns the APIKey of the first call. ErrPrefixTaken when another key has the
	// prefix. Event: apikey.created.
	CreateAPIKey(ctx context.Context, once idempotency.Key, key APIKey, makerID string, secret Hash) (APIKey, error)
	// RotateAPIKey applies APIKey.Rotate, and replaces the hash of the secret. A retry under an idempotency key returns
	// the APIKey of the first call. NOT_FOUND when there is no such key; ErrPrefixTaken when another key has the prefix.
	// Event: apikey.rotated.
	RotateAPIKey(ctx context.Context, once idempotency.Key, id, prefix string, secret Hash, now time.Time) (APIKey, error)
	// RevokeAPIKey applies APIKey.Revoke to the key and to all keys that it made, directly or through others. NOT_FOUND
	// when there is no such key. Event: apikey.revoked, of each key at the first call.
	RevokeAPIKey(ctx context.Context, id string, now time.Time) (APIKey, error)
	// FindAPIKey returns the key with the prefix, and its hash. ErrAPIKeyUnknown and the zero Hash if there is none.
	FindAPIKey(ctx context.Context, prefix string) (APIKey, Hash, error)
	// TouchAPIKey stores the time of a use, unless the stored time is after since. It emits no event.
	TouchAPIKey(ctx context.Context, id string, now, since time.Time) error
	// ListAPIKeys returns the keys that the filter selects, the newest first.
	ListAPIKeys(ctx context.Context, filter APIKeyFilter, limit int) ([]APIKey, error)
	// GetAPIKeys returns the keys of the ids, in any order.
	GetAPIKeys(ctx context.Context, ids []string) ([]APIKey, error)
}

// APIKeyFilter selects API keys. A field that is "" selects all.
type APIKeyFilter struct {
	AccountID string
	Maker     string // the key that made them, directly or through others
}

// ErrPrefixTaken is the error of a prefix that another API key has: retry with another one.
var ErrPrefixTaken = errors.New("the prefix belongs to another API key")
