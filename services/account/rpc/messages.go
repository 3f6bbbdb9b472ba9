package rpc

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/services/account"
	accountv1 "github.com/sluicehq/sluice/services/gen/account/v1"
	types "github.com/sluicehq/sluice/services/types/rpc"
)

// EncodeAccount encodes the payload of an account's events: a sluice.account.v1.Account.
func EncodeAccount(a account.Account) ([]byte, error) { return encode(toAccount(a)) }

// EncodeAPIKey encodes the payload of an API key's events: a sluice.account.v1.ApiKey.
func EncodeAPIKey(k account.APIKey) ([]byte, error) { return encode(toAPIKey(k)) }

func encode(message proto.Message) ([]byte, error) {
	encoded, err := proto.Marshal(message)
	if err != nil {
		return nil, fmt.Errorf("encode an event: %w", err)
	}
	return encoded, nil
}

func toSession(c account.Credentials) *accountv1.Session {
	return &accountv1.Session{
		AccessToken: c.AccessToken, RefreshToken: c.RefreshToken,
		ExpiresAt: timestamppb.New(c.ExpiresAt), Account: toAccount(c.Account),
	}
}

func toAccount(a account.Account) *accountv1.Account {
	return &accountv1.Account{
		Id: a.ID, Name: a.Name, Role: toRole(a.Role), CreatedAt: timestamppb.New(a.CreatedAt), Version: a.Version,
	}
}

func toAPIKey(k account.APIKey) *accountv1.ApiKey {
	return &accountv1.ApiKey{
		Id: k.ID, AccountId: k.AccountID, Role: toRole(k.Role), Name: k.Name, Prefix: k.Prefix, Scopes: k.Scopes,
		PointsPerMinute: int32(k.PointsPerMinute), // at most account.MaxPointsPerMinute
		CreatedAt:       timestamppb.New(k.CreatedAt), ExpiresAt: types.Timestamp(k.ExpiresAt),
		LastUsedAt: types.Timestamp(k.LastUsedAt), RevokedAt: types.Timestamp(k.RevokedAt), DeviceLabels: k.DeviceLabels, MakerId: lastOf(k.Makers),
	}
}

func lastOf(ids []string) string {
	if len(ids) == 0 {
		return ""
	}
	return ids[len(ids)-1]
}

func toCreated(c account.CreatedAPIKey) *accountv1.CreatedApiKey {
	return &accountv1.CreatedApiKey{ApiKey: toAPIKey(c.APIKey), Secret: c.Secret}
}

func fromCreate(in *accountv1.CreateApiKeyRequest) (account.CreateAPIKeyInput, error) {
	expiresAt, err := types.OptionalTime("expiresAt", in.GetExpiresAt())
	if err != nil {
		return account.CreateAPIKeyInput{}, err
	}
	return account.CreateAPIKeyInput{
		Name: in.GetName(), Scopes: in.GetScopes(), PointsPerMinute: int(in.GetPointsPerMinute()),
		DeviceLabels: in.GetDeviceLabels(), ExpiresAt: expiresAt, IdempotencyKey: in.GetIdempotencyKey(),
	}, nil
}

func toRole(role caller.Role) accountv1.Role {
	switch role {
	case caller.Admin:
		return accountv1.Role_ROLE_ADMIN
	case caller.Operator:
		return accountv1.Role_ROLE_OPERATOR
	case caller.Member:
		return accountv1.Role_ROLE_MEMBER
	}
	return accountv1.Role_ROLE_UNSPECIFIED
}

func fromRole(role accountv1.Role) (caller.Role, error) {
	switch role {
	case accountv1.Role_ROLE_ADMIN:
		return caller.Admin, nil
	case accountv1.Role_ROLE_OPERATOR:
		return caller.Operator, nil
	case accountv1.Role_ROLE_MEMBER:
		return caller.Member, nil
	}
	return "", errs.Invalid("role", "must be ADMIN, OPERATOR or MEMBER")
}
