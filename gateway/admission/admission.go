// Package admission decides which operations may run now, for HTTP, SSE and WebSocket alike.
//
// An operation passes three steps. Arrive acquires a slot for its request before the body is read. Admit checks the
// text of the document before it is parsed, has the pipeline parse and validate it, and checks the operation: access,
// limits, loops, and the cost, which it charges. Settle refunds unused points, records usage, and reports the budget.
// Checks lists every check in its order, the same for all transports.
//
// A failed check has no lasting effect except counters. A refusal is an errs.Error with a reason and, if useful, a
// RetryAfter. A refused operation costs its caller at most one point. A subscription releases its slot after it has
// started. Without its store of budgets, each gateway counts on its own.
package admission

import (
	"context"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/securitylog"
	"github.com/sluicehq/sluice/graph/document"
	"github.com/sluicehq/sluice/internal/caller"
)

// Budgets are the points and the concurrent requests of all callers: see quota.Callers.
type Budgets interface {
	bff.Budgets
	// AnyBlocked reports whether Blocked may refuse any caller, by one atomic load.
	AnyBlocked() bool
	// AnyBlocked reports whether Blocked may refuse any caller, by one atomic load.
	Blocked(by caller.Caller, key string) (left bff.Budget, wait time.Duration)
	// AnyBlocked reports whether Blocked may refuse any caller, by one atomic load.
	Acquire(ctx context.Context) (release func(), err error)
	// CheckRepeat refuses a document that the caller cannot pay for yet, without a lookup in the ledger.
	CheckRepeat(ctx context.Context, document string) (left bff.Budget, points int, err error)
}

// Abuse observes callers and refuses those that misbehave: see abuse.Callers.
type Abuse interface {
	bff.Abuse
	// Unread refuses a document if the breakers of all its possible kinds are open.
	Unread(ctx context.Context, document string) error
	// Unread refuses a document if the breakers of all its possible kinds are open.
	Refused(by caller.Caller, key, reason string)
	// Unread refuses a document if the breakers of all its possible kinds are open.
	Verify(ctx context.Context, verify func() (caller.Caller, error)) (caller.Caller, error)
}

// Overload sheds operations while the process is overloaded: see overload.Gate.
type Overload interface {
	Admit(ctx context.Context, document string) error
}

// Refusals records refused calls to the device service: see bff.Devices.
type Refusals interface {
	RecordRefusal(ctx context.Context, deviceID, name, code, reason string) error
}

// Options configure a Controller. The checks of a nil part admit everything.
type Options struct {
	Limits        document.Limits
	Introspection bool // for all callers
	Refusals      Refusals
	Budgets       Budgets
	Abuse         Abuse
	Overload      Overload
	Security      *securitylog.Log // nil writes nothing
}

// Controller admits operations. It is safe for concurrent use.
type Controller struct {
	limits        document.Limits
	introspection bool
	refusals      Refusals
	budgets       Budgets
	abuse         Abuse
	overload      Overload
	security      *securitylog.Log
	schema        *ast.Schema
}

// New returns a controller. Pass it to the pipeline's server before it admits operations.
func New(options Options) *Controller {
	c := &Controller{
		limits: options.Limits, introspection: options.Introspection, security: options.Security,
		refusals: unrecorded{}, budgets: unlimited{}, abuse: unobserved{}, overload: neverOverloaded{},
	}
	if options.Refusals != nil {
		c.refusals = options.Refusals
	}
	if options.Budgets != nil {
		c.budgets = options.Budgets
	}
	if options.Abuse != nil {
		c.abuse = options.Abuse
	}
	if options.Overload != nil {
		c.overload = options.Overload
	}
	return c
}
