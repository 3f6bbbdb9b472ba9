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

// Fault says who caused that an operation has no data.
type Fault int

// The faults.
const (
	FaultNone    Fault = iota // it has data
	FaultCaller               // the request is not valid
	FaultOurs                 // a service is unavailable, timed out or broken
	FaultNeither              // a conflict, or the client closed the connection
)

// Outcome is the result of an operation, as the abuse protection counts it.
type Outcome struct {
	Kind    OperationKind
	Points  int    // cost after the refund
	Fault   Fault  //
	Refused string // reason of the gateway's own refusal; nothing ran
}

// Target is a mutation and the entity that it changes.
type Target struct {
	Mutation string // "updateDevice"
	Entity   string // an id
}

// Abuse is the abuse protection: it counts operations by caller, and blocks a caller that misbehaves for a while.
// The caller is that of the context. A refusal is RESOURCE_EXHAUSTED with the time after which a retry may pass.
type Abuse interface {
	// Admit refuses a caller whose circuit breaker for the kind is open, because its operations failed by its own
	// fault.
	Admit(ctx context.Context, kind OperationKind) error
	// CheckLoop refuses a caller that repeats the same mutation of the same entity in a loop.
	CheckLoop(ctx context.Context, targets []Target) error
	// Note counts the outcome of an operation. It must be called once for each operation.
	Note(ctx context.Context, outcome Outcome)

	// Usage returns the usage of callers in the window, the one with the most operations first.
	Usage(ctx context.Context, window CallWindow) ([]*CallerUsage, error)
	// Release closes the circuit breakers of a caller; NOT_FOUND when none is open.
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

// RefusalCount is the number of refusals of a caller for one reason.
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
	RetryAt   *time.Time // nil once the breaker is half-open
}
