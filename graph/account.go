package graph

import (
	"context"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/ids"
)

func (r mutationResolver) Login(ctx context.Context, input bff.LoginInput) (*bff.Session, error) {
	return r.Accounts.Login(ctx, input)
}

func (r mutationResolver) RefreshSession(ctx context.Context, refreshToken string) (*bff.Session, error) {
	return r.Accounts.RefreshSession(ctx, refreshToken)
}

func (r mutationResolver) Logout(ctx context.Context) (*bool, error) {
	if err := r.Accounts.Logout(ctx); err != nil {
		return nil, err
	}
	done := true
	return &done, nil
}

func (r mutationResolver) CreateAPIKey(ctx context.Context, input bff.CreateApiKeyInput) (*bff.CreatedApiKey, error) {
	return r.Accounts.CreateAPIKey(ctx, input)
}

func (r mutationResolver) RotateAPIKey(ctx context.Context, id string, idempotencyKey *string) (*bff.CreatedApiKey, error) {
	if err := checkID("id", ids.APIKey, id); err != nil {
		return nil, err
	}
	return r.Accounts.RotateAPIKey(ctx, id, idempotencyKey)
}

func (r mutationResolver) RevokeAPIKey(ctx context.Context, id string) (*bff.ApiKey, error) {
	if err := checkID("id", ids.APIKey, id); err != nil {
		return nil, err
	}
	return r.Accounts.RevokeAPIKey(ctx, id)
}

func (r queryResolver) APIKeys(ctx context.Context) ([]*bff.ApiKey, error) {
	keys, err := r.Accounts.ListAPIKeys(ctx)
	return nonNil(keys), err
}
