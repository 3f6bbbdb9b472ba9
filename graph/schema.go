package graph

import (
	"context"

	"github.com/99designs/gqlgen/graphql"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/caller"
)

func (queryResolver) Viewer(ctx context.Context) (*bff.Viewer, error) {
	by := caller.FromContext(ctx)
	viewer := &bff.Viewer{AccountID: by.AccountID, APIKeyID: by.APIKeyID, Scopes: by.Scopes}
	if charge, ok := graphql.GetOperationContext(ctx).Stats.GetExtension(bff.ChargeExtension).(*bff.Charge); ok {
		viewer.Budget = &charge.Budget
	}
	return viewer, nil
}
