// Package rpc is the gRPC server of the account service, and the encoder of its events. It converts messages only;
// errors pass unchanged.
package rpc

import (
	"context"

	"google.golang.org/grpc"

	"github.com/sluicehq/sluice/services/account"
	accountv1 "github.com/sluicehq/sluice/services/gen/account/v1"
	types "github.com/sluicehq/sluice/services/types/rpc"
)

// Register registers the service under its contract.
func Register(r grpc.ServiceRegistrar, s *account.Service) {
	accountv1.RegisterAccountsServer(r, server{service: s})
}

type server struct {
	accountv1.UnimplementedAccountsServer
	service *account.Service
}

func (s server) Login(ctx context.Context, in *accountv1.LoginRequest) (*accountv1.Session, error) {
	return answer(toSession)(s.service.Login(ctx, in.GetProvider(), in.GetCode()))
}

func (s server) RefreshSession(ctx context.Context, in *accountv1.RefreshSessionRequest) (*accountv1.Session, error) {
	return answer(toSession)(s.service.RefreshSession(ctx, in.GetRefreshToken()))
}

func (s server) Logout(ctx context.Context, in *accountv1.LogoutRequest) (*accountv1.LogoutResponse, error) {
	if err := s.service.Logout(ctx, in.GetRefreshToken()); err != nil {
		return nil, err
	}
	return &accountv1.LogoutResponse{}, nil
}

func (s server) CheckSessions(ctx context.Context, in *accountv1.CheckSessionsRequest) (*accountv1.CheckSessionsResponse, error) {
	uses := types.Each(in.GetUses(), func(u *accountv1.SessionUse) account.SessionUse {
		return account.SessionUse{SessionID: u.GetSessionId(), Generation: u.GetGeneration()}
	})
	live, err := s.service.CheckSessions(ctx, uses)
	if err != nil {
		return nil, err
	}
	return &accountv1.CheckSessionsResponse{Sessions: types.Each(live, func(l account.LiveSession) *accountv1.LiveSession {
		return &accountv1.LiveSession{SessionId: l.SessionID, Role: toRole(l.Role)}
	})}, nil
}

func (s server) GetKeySet(context.Context, *accountv1.GetKeySetRequest) (*accountv1.KeySet, error) {
	return &accountv1.KeySet{Json: string(s.service.KeySet())}, nil
}

func (s server) BatchGetAccounts(ctx context.Context, in *accountv1.BatchGetRequest) (*accountv1.BatchGetAccountsResponse, error) {
	accounts, err := s.service.BatchGetAccounts(ctx, in.GetIds())
	if err != nil {
		return nil, err
	}
	return &accountv1.BatchGetAccountsResponse{Accounts: types.Each(accounts, toAccount)}, nil
}

func (s server) EnsureAccount(ctx context.Context, in *accountv1.EnsureAccountRequest) (*accountv1.Account, error) {
	role, err := fromRole(in.GetRole())
	if err != nil {
		return nil, err
	}
	identity := account.Identity{Subject: in.GetSubject(), Name: in.GetName(), Role: role}
	return answer(toAccount)(s.service.EnsureAccount(ctx, in.GetProvider(), identity))
}

func (s server) VerifyApiKey(ctx context.Context, in *accountv1.VerifyApiKeyRequest) (*accountv1.ApiKey, error) {
	return answer(toAPIKey)(s.service.VerifyAPIKey(ctx, in.GetKey()))
}

func (s server) CreateApiKey(ctx context.Context, in *accountv1.CreateApiKeyRequest) (*accountv1.CreatedApiKey, error) {
	input, err := fromCreate(in)
	if err != nil {
		return nil, err
	}
	return answer(toCreated)(s.service.CreateAPIKey(ctx, input))
}

func (s server) RotateApiKey(ctx context.Context, in *accountv1.RotateApiKeyRequest) (*accountv1.CreatedApiKey, error) {
	return answer(toCreated)(s.service.RotateAPIKey(ctx, in.GetId(), in.GetIdempotencyKey()))
}

func (s server) RevokeApiKey(ctx context.Context, in *accountv1.RevokeApiKeyRequest) (*accountv1.ApiKey, error) {
	return answer(toAPIKey)(s.service.RevokeAPIKey(ctx, in.GetId()))
}

func (s server) ListApiKeys(ctx context.Context, _ *accountv1.ListApiKeysRequest) (*accountv1.ListApiKeysResponse, error) {
	keys, err := s.service.ListAPIKeys(ctx)
	if err != nil {
		return nil, err
	}
	return &accountv1.ListApiKeysResponse{ApiKeys: types.Each(keys, toAPIKey)}, nil
}

func (s server) BatchGetApiKeys(ctx context.Context, in *accountv1.BatchGetRequest) (*accountv1.BatchGetApiKeysResponse, error) {
	keys, err := s.service.BatchGetAPIKeys(ctx, in.GetIds())
	if err != nil {
		return nil, err
	}
	return &accountv1.BatchGetApiKeysResponse{ApiKeys: types.Each(keys, toAPIKey)}, nil
}

// answer encodes the result of a use case; an error passes unchanged.
func answer[T, M any](form func(T) *M) func(T, error) (*M, error) {
	return func(got T, err error) (*M, error) {
		if err != nil {
			return nil, err
		}
		return form(got), nil
	}
}
