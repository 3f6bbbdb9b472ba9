package graph

import (
	"context"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/formatter"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/graph/exec"
	"github.com/sluicehq/sluice/internal/caller"
)

// SDL returns the schema in the schema definition language, with its descriptions and directives.
func SDL() string {
	var text strings.Builder
	formatter.NewFormatter(&text, formatter.WithIndent("  ")).FormatSchema(exec.NewExecutableSchema(exec.Config{}).Schema())
	return text.String()
}

func (queryResolver) Viewer(ctx context.Context) (*bff.Viewer, error) {
	by := caller.FromContext(ctx)
	viewer := &bff.Viewer{AccountID: by.AccountID, APIKeyID: by.APIKeyID, Scopes: by.Scopes}
	if charge, ok := graphql.GetOperationContext(ctx).Stats.GetExtension(bff.ChargeExtension).(*bff.Charge); ok {
		viewer.Budget = &charge.Budget
	}
	return viewer, nil
}
