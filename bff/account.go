package bff

import (
	"context"
	"time"
)

// Accounts is the port of the account service. GetAccounts and GetAPIKeys are batch reads.
type Accounts interface {
	Login(ctx context.Context, input LoginInput) (*Session, error)
	RefreshSession(ctx context.Context, refreshToken string) (*Session, error)
	Logout(ctx context.Context) error
	KeySet(ctx context.Context) (JSON, error) // a JWK set, RFC 7517
	// CheckSessions returns the role of the account of each session that has not ended.
	CheckSessions(ctx context.Context, uses []SessionUse) (map[string]Role, error)
	EnsureAccount(ctx context.Context, identity Identity) (*Account, error)
	GetAccounts(ctx context.Context, ids []string) ([]*Account, error)

	VerifyAPIKey(ctx context.Context, key string) (*ApiKey, error)
	CreateAPIKey(ctx context.Context, input CreateApiKeyInput) (*CreatedApiKey, error)
	RotateAPIKey(ctx context.Context, id string, idempotencyKey *string) (*CreatedApiKey, error)
	RevokeAPIKey(ctx context.Context, id string) (*ApiKey, error)
	ListAPIKeys(ctx context.Context) ([]*ApiKey, error)
	GetAPIKeys(ctx context.Context, ids []string) ([]*ApiKey, error)
}

// Role is the role of an account: ADMIN, OPERATOR or MEMBER.
type Role string

// IdentityProvider is the provider that vouches for a sign-in.
type IdentityProvider string

// Identity is a user of a provider.
type Identity struct {
	Provider IdentityProvider
	Subject  string
	Name     string
	Role     Role
}

// Account is a user of Sluice.
type Account struct {
	ID        string
	Name      string
	Role      Role
	CreatedAt time.Time
}

// LoginInput is the input of a sign-in.
type LoginInput struct {
	Provider IdentityProvider
	Code     string
}

// Session is a sign-in with its tokens.
type Session struct {
	AccessToken  string
	RefreshToken string
	ExpiresAt    time.Time // of the access token
	Account      *Account
}

// SessionUse is an access token that is in use.
type SessionUse struct {
	SessionID  string
	Generation int64 // of the session's tokens
}

// ApiKey is the credential of a program. Its name is spelt as in the schema.
type ApiKey struct {
	ID              string
	AccountID       string // of the account that it acts for
	AccountRole     Role   // of that account
	Name            string
	Prefix          string
	Scopes          []string
	DeviceLabels    JSON // an object of strings; nil for no limit
	PointsPerMinute int
	CreatedAt       time.Time
	ExpiresAt       *time.Time
	LastUsedAt      *time.Time
	RevokedAt       *time.Time
	MakerID         *string // the API key that created it
}

// CreateApiKeyInput is the input of CreateAPIKey.
type CreateApiKeyInput struct {
	Name            string
	Scopes          []string
	DeviceLabels    JSON // an object of strings
	PointsPerMinute *int
	ExpiresAt       *time.Time
	IdempotencyKey  *string
}

// CreatedApiKey is an API key with its secret, only in this response.
type CreatedApiKey struct {
	APIKey *ApiKey
	Secret *string
}

// Viewer is the caller of a request.
type Viewer struct {
	AccountID string // "" for an anonymous caller
	APIKeyID  string // "" without an API key
	Scopes    []string
	Budget    *Budget // nil without a rate limit
}

// IsNode implements Node.
func (*Account) IsNode() {}

// GetID implements Node.
func (a *Account) GetID() string { return a.ID }

// IsNode implements Node.
func (*ApiKey) IsNode() {}

// GetID implements Node.
func (k *ApiKey) GetID() string { return k.ID }
