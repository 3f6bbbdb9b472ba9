package rpc

import (
	"context"

	"google.golang.org/grpc"

	"github.com/sluicehq/sluice/bff"
	accountv1 "github.com/sluicehq/sluice/services/gen/account/v1"
)

// Accounts calls the account service. It implements bff.Accounts.
type Accounts struct{ client accountv1.AccountsClient }

var _ bff.Accounts = Accounts{}

// NewAccounts returns the port over a connection.
func NewAccounts(conn grpc.ClientConnInterface) Accounts {
	return Accounts{client: accountv1.NewAccountsClient(conn)}
}

// Login implements bff.Accounts.
func (a Accounts) Login(ctx context.Context, input bff.LoginInput) (*bff.Session, error) {
	return one(session)(a.client.Login(ctx, &accountv1.LoginRequest{Provider: string(input.Provider), Code: input.Code}))
}

// RefreshSession implements bff.Accounts.
func (a Accounts) RefreshSession(ctx context.Context, refreshToken string) (*bff.Session, error) {
	return one(session)(a.client.RefreshSession(ctx, &accountv1.RefreshSessionRequest{RefreshToken: refreshToken}))
}

// Logout implements bff.Accounts.
func (a Accounts) Logout(ctx context.Context) error {
	_, err := a.client.Logout(ctx, &accountv1.LogoutRequest{})
	return err
}

// CheckSessions returns the role of the account of each session that has not ended.
func (a Accounts) CheckSessions(ctx context.Context, uses []bff.SessionUse) (map[string]bff.Role, error) {
	request := &accountv1.CheckSessionsRequest{Uses: make([]*accountv1.SessionUse, len(uses))}
	for i, use := range uses {
		request.Uses[i] = &accountv1.SessionUse{SessionId: use.SessionID, Generation: use.Generation}
	}
	m, err := a.client.CheckSessions(ctx, request)
	if err != nil {
		return nil, err
	}
	live := make(map[string]bff.Role, len(m.GetSessions()))
	for _, s := range m.GetSessions() {
		live[s.GetSessionId()] = role(s.GetRole())
	}
	return live, nil
}

// KeySet returns the public keys that verify access tokens.
func (a Accounts) KeySet(ctx context.Context) (bff.JSON, error) {
	m, err := a.client.GetKeySet(ctx, &accountv1.GetKeySetRequest{})
	if err != nil {
		return nil, err
	}
	return bff.JSON(m.GetJson()), nil
}

// EnsureAccount implements bff.Accounts.
func (a Accounts) EnsureAccount(ctx context.Context, identity bff.Identity) (*bff.Account, error) {
	return one(account)(a.client.EnsureAccount(ctx, &accountv1.EnsureAccountRequest{
		Provider: string(identity.Provider), Subject: identity.Subject, Name: identity.Name,
		Role: enumValue[accountv1.Role](accountv1.Role_value, "ROLE_", string(identity.Role)),
	}))
}

// GetAccounts implements bff.Accounts.
func (a Accounts) GetAccounts(ctx context.Context, ids []string) ([]*bff.Account, error) {
	m, err := a.client.BatchGetAccounts(ctx, &accountv1.BatchGetRequest{Ids: ids})
	if err != nil {
		return nil, err
	}
	return each(m.GetAccounts(), account), nil
}

// VerifyAPIKey implements bff.Accounts.
func (a Accounts) VerifyAPIKey(ctx context.Context, key string) (*bff.ApiKey, error) {
	return one(apiKey)(a.client.VerifyApiKey(ctx, &accountv1.VerifyApiKeyRequest{Key: key}))
}

// CreateAPIKey implements bff.Accounts.
func (a Accounts) CreateAPIKey(ctx context.Context, input bff.CreateApiKeyInput) (*bff.CreatedApiKey, error) {
	limit, err := labels("deviceLabels", input.DeviceLabels)
	if err != nil {
		return nil, err
	}
	request := &accountv1.CreateApiKeyRequest{
		DeviceLabels: limit,
		Name:         input.Name, Scopes: input.Scopes, ExpiresAt: timestamp(input.ExpiresAt), IdempotencyKey: text(input.IdempotencyKey),
	}
	if input.PointsPerMinute != nil {
		request.PointsPerMinute = positive(*input.PointsPerMinute)
	}
	return one(createdAPIKey)(a.client.CreateApiKey(ctx, request))
}

// RotateAPIKey replaces the secret of an API key.
func (a Accounts) RotateAPIKey(ctx context.Context, id string, idempotencyKey *string) (*bff.CreatedApiKey, error) {
	return one(createdAPIKey)(a.client.RotateApiKey(ctx, &accountv1.RotateApiKeyRequest{Id: id, IdempotencyKey: text(idempotencyKey)}))
}

// RevokeAPIKey implements bff.Accounts.
func (a Accounts) RevokeAPIKey(ctx context.Context, id string) (*bff.ApiKey, error) {
	return one(apiKey)(a.client.RevokeApiKey(ctx, &accountv1.RevokeApiKeyRequest{Id: id}))
}

// ListAPIKeys implements bff.Accounts.
func (a Accounts) ListAPIKeys(ctx context.Context) ([]*bff.ApiKey, error) {
	m, err := a.client.ListApiKeys(ctx, &accountv1.ListApiKeysRequest{})
	if err != nil {
		return nil, err
	}
	return each(m.GetApiKeys(), apiKey), nil
}

// GetAPIKeys implements bff.Accounts.
func (a Accounts) GetAPIKeys(ctx context.Context, ids []string) ([]*bff.ApiKey, error) {
	m, err := a.client.BatchGetApiKeys(ctx, &accountv1.BatchGetRequest{Ids: ids})
	if err != nil {
		return nil, err
	}
	return each(m.GetApiKeys(), apiKey), nil
}

func role(r accountv1.Role) bff.Role { return enum[bff.Role](r.String(), "ROLE_") }

func account(m *accountv1.Account) *bff.Account {
	return &bff.Account{ID: m.GetId(), Name: m.GetName(), Role: role(m.GetRole()), CreatedAt: m.GetCreatedAt().AsTime()}
}

func session(m *accountv1.Session) *bff.Session {
	return &bff.Session{
		AccessToken: m.GetAccessToken(), RefreshToken: m.GetRefreshToken(),
		ExpiresAt: m.GetExpiresAt().AsTime(), Account: account(m.GetAccount()),
	}
}

func apiKey(m *accountv1.ApiKey) *bff.ApiKey {
	var limit bff.JSON
	if len(m.GetDeviceLabels()) > 0 {
		limit = labelsJSON(m.GetDeviceLabels())
	}
	return &bff.ApiKey{
		DeviceLabels: limit,
		ID:           m.GetId(), AccountID: m.GetAccountId(), AccountRole: role(m.GetRole()), Name: m.GetName(), Prefix: m.GetPrefix(),
		Scopes: m.GetScopes(), PointsPerMinute: int(m.GetPointsPerMinute()), CreatedAt: m.GetCreatedAt().AsTime(),
		ExpiresAt: optionalTime(m.GetExpiresAt()), LastUsedAt: optionalTime(m.GetLastUsedAt()), RevokedAt: optionalTime(m.GetRevokedAt()), MakerID: optionalText(m.GetMakerId()),
	}
}

func createdAPIKey(m *accountv1.CreatedApiKey) *bff.CreatedApiKey {
	return &bff.CreatedApiKey{APIKey: apiKey(m.GetApiKey()), Secret: optionalText(m.GetSecret())}
}
