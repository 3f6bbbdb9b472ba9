// Package admission decides which operations may run now, for HTTP, SSE and WebSocket alike.
//
// An operation passes three steps. Arrive acquires a slot for its request before the body is read. Admit checks
// the text of the document before it is parsed, has the pipeline parse and validate it, and checks the operation:
// access, limits, loops, and the cost, which it charges. Settle refunds what the response did not cost, records
// the usage of the caller, and reports its budget. Checks lists every check in its order, which is the same for
// all transports because they run the same code.
//
// Admission promises: a check that fails has no effect that outlives it, but for the counters of usage; a refusal
// is an errs.Error with a reason and, where time helps, with the time after which to retry; a refused operation
// costs its caller one point at most; a subscription holds no slot after it has started. A store of budgets that
// is away never refuses anybody: each gateway then counts by itself.
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

// Budgets are the points and the concurrent requests of all callers. quota.Callers implements it.
type Budgets interface {
	bff.Budgets
	// AnyBlocked reports whether Blocked may refuse any caller. It costs one atomic load.
	AnyBlocked() bool
	// Blocked returns how long a caller is blocked that keeps retrying too early; 0 admits it.
	Blocked(by caller.Caller, key string) (left bff.Budget, wait time.Duration)
	// Acquire acquires a slot for a request of the context's caller.
	Acquire(ctx context.Context) (release func(), err error)
	// CheckRepeat refuses a document again that the caller cannot pay for yet, without a lookup in the ledger.
	CheckRepeat(ctx context.Context, document string) (left bff.Budget, points int, err error)
}

// Abuse observes callers and refuses those that misbehave. abuse.Callers implements it.
type Abuse interface {
	bff.Abuse
	// Unread refuses a document if the breakers of all kinds that it may be are open.
	Unread(ctx context.Context, document string) error
	// Refused records the refusal of a request that nothing else is known of.
	Refused(by caller.Caller, key, reason string)
	// Verify verifies credentials, unless the breaker of the context's network is open.
	Verify(ctx context.Context, verify func() (caller.Caller, error)) (caller.Caller, error)
}

// Overload sheds operations while the process is overloaded. overload.Gate implements it.
type Overload interface {
	Admit(ctx context.Context, document string) error
}

// Refusals records refused calls to the device service. bff.Devices has the method.
type Refusals interface {
	RecordRefusal(ctx context.Context, deviceID, name, code, reason string) error
}

// Options configure a Controller. A part that is nil is switched off: its checks admit everything.
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

// New returns a controller. It must be given to the pipeline's server before it admits anything.
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
