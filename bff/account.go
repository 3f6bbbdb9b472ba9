package bff

import (
	"context"
	"time"
)

// Accounts is who may call. GetAccounts and GetAPIKeys are batch reads.
type Accounts interface {
	Login(ctx context.Context, input LoginInput) (*Session, error)
	RefreshSession(ctx context.Context, refreshToken string) (*Session, error)
	Logout(ctx context.Context) error
	KeySet(ctx context.Context) (JSON, error) // a JWK set, RFC 7517
	EnsureAccount(ctx context.Context, identity Identity) (*Account, error)
	GetAccounts(ctx context.Context, ids []string) ([]*Account, error)

	VerifyAPIKey(ctx context.Context, key string) (*ApiKey, error)
	CreateAPIKey(ctx context.Context, input CreateApiKeyInput) (*CreatedApiKey, error)
	RotateAPIKey(ctx context.Context, id string) (*CreatedApiKey, error)
	RevokeAPIKey(ctx context.Context, id string) (*ApiKey, error)
	ListAPIKeys(ctx context.Context) ([]*ApiKey, error)
	GetAPIKeys(ctx context.Context, ids []string) ([]*ApiKey, error)
}

// Role is what an account is trusted with: ADMIN, OPERATOR or MEMBER.
type Role string

// IdentityProvider says who vouches for a sign-in.
type IdentityProvider string

// Identity is somebody as a provider knows them.
type Identity struct {
	Provider IdentityProvider
	Subject  string
	Name     string
	Role     Role
}

// Account is somebody who uses Sluice.
type Account struct {
	ID        string
	Name      string
	Role      Role
	CreatedAt time.Time
}

// LoginInput signs in.
type LoginInput struct {
	Provider IdentityProvider
	Code     string
}

// Session is a sign-in.
type Session struct {
	AccessToken  string
	RefreshToken string
	ExpiresAt    time.Time // of the access token
	Account      *Account
}

// ApiKey is a program's way in. It is spelt as the schema spells it.
type ApiKey struct {
	ID              string
	AccountID       string // whom it acts for
	AccountRole     Role   // of that account
	Name            string
	Prefix          string
	Scopes          []string
	DeviceLabels    JSON // an object of texts; nil for no limit
	PointsPerMinute int
	CreatedAt       time.Time
	ExpiresAt       *time.Time
	LastUsedAt      *time.Time
	RevokedAt       *time.Time
}

// CreateApiKeyInput makes an API key.
type CreateApiKeyInput struct {
	Name            string
	Scopes          []string
	DeviceLabels    JSON // an object of texts
	PointsPerMinute *int
	ExpiresAt       *time.Time
	IdempotencyKey  *string
}

// CreatedApiKey is an API key with its secret, which is shown once.
type CreatedApiKey struct {
	APIKey *ApiKey
	Secret *string
}

// Viewer is who is asking.
type Viewer struct {
	AccountID string // "" for nobody
	APIKeyID  string // "" without an API key
	Scopes    []string
	Budget    *Budget // nil when nobody counts
}

// IsNode marks what has an id of its own.
func (*Account) IsNode() {}

// GetID gives the id.
func (a *Account) GetID() string { return a.ID }

// IsNode marks what has an id of its own.
func (*ApiKey) IsNode() {}

// GetID gives the id.
func (k *ApiKey) GetID() string { return k.ID }
