package cache

import (
	"context"

	"github.com/sluicehq/sluice/bff"
)

// accounts is a cached port. Embedded methods bypass the cache.
type accounts struct {
	bff.Accounts
	cache *Cache
	get   *read[*bff.Account]
}

// Accounts wraps the port in the cache.
func (c *Cache) Accounts(port bff.Accounts) bff.Accounts {
	return accounts{Accounts: port, cache: c, get: newRead[*bff.Account](c, "Accounts.GetAccounts", true, nil)}
}

func (a accounts) GetAccounts(ctx context.Context, ids []string) ([]*bff.Account, error) {
	found, err := a.get.get(ctx, "", ids, func(ctx context.Context, ids []string) (map[string]*bff.Account, error) {
		return byID(a.Accounts.GetAccounts(ctx, ids))
	})
	return inOrder(ids, found, err)
}

func (a accounts) Login(ctx context.Context, input bff.LoginInput) (*bff.Session, error) {
	return write(ctx, a.cache, "Accounts.Login", nil, func(ctx context.Context) (*bff.Session, error) {
		return a.Accounts.Login(ctx, input)
	})
}

func (a accounts) EnsureAccount(ctx context.Context, identity bff.Identity) (*bff.Account, error) {
	return write(ctx, a.cache, "Accounts.EnsureAccount", nil, func(ctx context.Context) (*bff.Account, error) {
		return a.Accounts.EnsureAccount(ctx, identity)
	})
}

func (a accounts) ListAPIKeys(ctx context.Context) ([]*bff.ApiKey, error) {
	bff.ReadsOf(ctx).NoteUncacheable("Accounts.ListAPIKeys")
	return a.Accounts.ListAPIKeys(ctx)
}

func (a accounts) GetAPIKeys(ctx context.Context, ids []string) ([]*bff.ApiKey, error) {
	bff.ReadsOf(ctx).NoteUncacheable("Accounts.GetAPIKeys")
	return a.Accounts.GetAPIKeys(ctx, ids)
}
