package graph

import (
	"context"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/caller"
)

func (queryResolver) Viewer(ctx context.Context) (*bff.Viewer, error) {
	who := caller.FromContext(ctx)
	return &bff.Viewer{AccountID: who.AccountID, APIKeyID: who.APIKeyID, Scopes: who.Scopes, Budget: budgetOf(ctx)}, nil
}
