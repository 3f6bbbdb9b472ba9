package maintenance

import (
	"context"

	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/services/device"
)

// AuditStore persists the audit log.
type AuditStore interface {
	// RecordCalls inserts calls and their device events, in one transaction.
	RecordCalls(ctx context.Context, calls []Call, events []device.Event) error

	// ListCalls returns a page of calls, the newest first.
	ListCalls(ctx context.Context, filter CallFilter, request page.Request) (page.Page[Call], error)
}
