// Package securitylog writes log lines about sign-ins, refusals, API keys and the use of roles. A line has the caller, its
// role and its network address, and no secret.
package securitylog

import (
	"context"
	"log/slog"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/quota"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
)

// Log is the security log. A nil Log writes nothing.
type Log struct{ logger *slog.Logger }

// New returns a Log that writes to the logger at level info.
func New(logger *slog.Logger) *Log { return &Log{logger} }

// write adds the caller of the context to a line.
func (l *Log) write(ctx context.Context, event string, attributes ...any) {
	if l == nil {
		return
	}
	by := caller.FromContext(ctx)
	attributes = append([]any{"event", event, "caller", by.Name(), "role", string(by.Role), "address", quota.Address(ctx).String()}, attributes...)
	l.logger.InfoContext(ctx, "security", attributes...)
}

// outcome writes a line with the reason of a failure, if there is one.
func (l *Log) outcome(ctx context.Context, event string, err error, attributes ...any) {
	if err != nil {
		event, attributes = event+" refused", append(attributes, "reason", errs.From(err).Reason)
	}
	l.write(ctx, event, attributes...)
}

// CredentialsRefused writes that a request had credentials which are not valid.
func (l *Log) CredentialsRefused(ctx context.Context, err error) {
	l.outcome(ctx, "credentials", err)
}

// AccessRefused writes that the caller lacks a scope.
func (l *Log) AccessRefused(ctx context.Context, err error) {
	l.outcome(ctx, "access", err, "field", errs.From(err).Message)
}

// RoleUsed writes that staff, or an API key of staff, runs mutations.
func (l *Log) RoleUsed(ctx context.Context, mutations []string) {
	if caller.FromContext(ctx).Staff() {
		l.write(ctx, "role used", "mutations", mutations)
	}
}

// Accounts returns a port that logs sign-ins, and changes of API keys.
func (l *Log) Accounts(port bff.Accounts) bff.Accounts { return accounts{port, l} }

type accounts struct {
	bff.Accounts
	log *Log
}

// Login logs the account that signed in.
func (a accounts) Login(ctx context.Context, input bff.LoginInput) (*bff.Session, error) {
	session, err := a.Accounts.Login(ctx, input)
	a.log.outcome(ctx, "sign-in", err, accountOf(session)...)
	return session, err
}

// RefreshSession logs the account of the session.
func (a accounts) RefreshSession(ctx context.Context, token string) (*bff.Session, error) {
	session, err := a.Accounts.RefreshSession(ctx, token)
	a.log.outcome(ctx, "session refresh", err, accountOf(session)...)
	return session, err
}

func accountOf(session *bff.Session) []any {
	if session == nil || session.Account == nil {
		return nil
	}
	return []any{"account", session.Account.ID, "account_role", string(session.Account.Role)}
}

// Logout logs the end of the session.
func (a accounts) Logout(ctx context.Context) error {
	err := a.Accounts.Logout(ctx)
	a.log.outcome(ctx, "sign-out", err)
	return err
}

// CreateAPIKey logs the new key and its scopes.
func (a accounts) CreateAPIKey(ctx context.Context, input bff.CreateApiKeyInput) (*bff.CreatedApiKey, error) {
	created, err := a.Accounts.CreateAPIKey(ctx, input)
	attributes := []any{"scopes", input.Scopes}
	if created != nil && created.APIKey != nil {
		attributes = append(attributes, "api_key", created.APIKey.ID)
	}
	a.log.outcome(ctx, "API key created", err, attributes...)
	return created, err
}

// RotateAPIKey logs the key.
func (a accounts) RotateAPIKey(ctx context.Context, id string, idempotencyKey *string) (*bff.CreatedApiKey, error) {
	created, err := a.Accounts.RotateAPIKey(ctx, id, idempotencyKey)
	a.log.outcome(ctx, "API key rotated", err, "api_key", id)
	return created, err
}

// RevokeAPIKey logs the key.
func (a accounts) RevokeAPIKey(ctx context.Context, id string) (*bff.ApiKey, error) {
	key, err := a.Accounts.RevokeAPIKey(ctx, id)
	a.log.outcome(ctx, "API key revoked", err, "api_key", id)
	return key, err
}
