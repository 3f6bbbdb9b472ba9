package bff

import (
	"context"
	"time"
)

// OperationKind is the kind of an operation that the gateway admits.
type OperationKind string

// The kinds of operations.
const (
	KindQuery        OperationKind = "QUERY"
	KindMutation     OperationKind = "MUTATION"
	KindSubscription OperationKind = "SUBSCRIPTION"
	KindCredentials  OperationKind = "CREDENTIALS" // verification of credentials, before the caller is known
)

// Fault says whose fault it is that an operation has no data.
type Fault int

// The faults.
const (
	FaultNone    Fault = iota // it has data
	FaultCaller               // the request is not valid
	FaultOurs                 // a service is unavailable, timed out or broken
	FaultNeither              // a conflict, or the client closed the connection
)

// Outcome is the result of an operation for the abuse protection.
type Outcome struct {
	Kind    OperationKind
	Points  int    // cost after the refund
	Fault   Fault  //
	Refused string // the gateway refused it for this reason; nothing ran
}

// Target is a mutation and the entity that it changes.
type Target struct {
	Mutation string // "updateDevice"
	Entity   string // an id
}

// Abuse counts operations by the caller of the context, and blocks a caller that misbehaves for a while. A refusal is
// RESOURCE_EXHAUSTED with a RetryAfter.
type Abuse interface {
	// Admit refuses a caller whose circuit breaker for the kind is open: its operations failed by its own fault.
	Admit(ctx context.Context, kind OperationKind) error
	// CheckLoop refuses a caller that repeats a mutation of one entity in a loop.
	CheckLoop(ctx context.Context, targets []Target) error
	// Note counts the outcome of an operation, once for each operation.
	Note(ctx context.Context, outcome Outcome)

	// Usage returns the usage of callers in the window, the most operations first.
	Usage(ctx context.Context, window CallWindow) ([]*CallerUsage, error)
	// Release closes the circuit breakers of a caller; NOT_FOUND if none is open.
	Release(ctx context.Context, name string) (*CallerUsage, error)
}

// CallWindow is the time over which usage is counted.
type CallWindow string

// The windows.
const (
	LastMinute CallWindow = "LAST_MINUTE"
	LastHour   CallWindow = "LAST_HOUR"
	LastDay    CallWindow = "LAST_DAY"
)

// CallerKind is the kind of identity by which usage is counted.
type CallerKind string

// The kinds of callers.
const (
	CallerAPIKey  CallerKind = "API_KEY"
	CallerAccount CallerKind = "ACCOUNT"
	CallerNetwork CallerKind = "NETWORK"
)

// CallerUsage is the usage of one caller.
type CallerUsage struct {
	Name       string
	Kind       CallerKind
	AccountID  string // "" for an address
	APIKeyID   string // "" without an API key
	Requests   int
	Failed     int // by the fault of the caller
	Faults     int // by the fault of the server
	Refused    int
	Refusals   []*RefusalCount
	Points     int
	LastSeenAt time.Time
	Breakers   []*CallerBreaker
}

// RefusalCount counts the refusals of a caller for one reason.
type RefusalCount struct {
	Reason string
	Count  int
}

// BreakerState is the state of a circuit breaker.
type BreakerState string

// The states.
const (
	BreakerOpen     BreakerState = "OPEN"
	BreakerHalfOpen BreakerState = "HALF_OPEN"
)

// CallerBreaker is a circuit breaker that refuses some operations of one caller.
type CallerBreaker struct {
	Operation OperationKind
	Mutation  *string // of a loop
	Entity    *string // of a loop
	State     BreakerState
	Reason    string
	Since     time.Time
	RetryAt   *time.Time // nil while half-open
}
