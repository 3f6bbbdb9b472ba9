package graph

import (
	"context"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/caller"
)

func (queryResolver) Viewer(ctx context.Context) (*bff.Viewer, error) {
	by := caller.FromContext(ctx)
	return &bff.Viewer{AccountID: by.AccountID, APIKeyID: by.APIKeyID, Scopes: by.Scopes, Budget: budgetOf(ctx)}, nil
}
