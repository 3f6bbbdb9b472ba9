package maintenance

import (
	"context"

	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/services/device"
)

// Store keeps calls.
type Store interface {
	// KeepCalls keeps calls and what is to be noted of them.
	KeepCalls(ctx context.Context, calls []Call, events []device.Event) error

	// ListCalls gives a page of calls, the newest first.
	ListCalls(ctx context.Context, filter Filter, request page.Request) (page.Page[Call], error)
}
