package bff

import (
	"context"
	"time"
)

// OperationKind is what a caller asks the gate to run.
type OperationKind string

// The kinds of operations.
const (
	KindQuery        OperationKind = "QUERY"
	KindMutation     OperationKind = "MUTATION"
	KindSubscription OperationKind = "SUBSCRIPTION"
	KindCredentials  OperationKind = "CREDENTIALS" // what a network presents, before its caller is known
)

// Fault says whose fault it is that an operation gave nothing.
type Fault int

// The faults.
const (
	FaultNone    Fault = iota // it gave something
	FaultCaller               // the caller asked for what cannot be
	FaultOurs                 // a service is down, late or broken
	FaultNeither              // a conflict, or the caller went away
)

// Outcome is how an operation ended.
type Outcome struct {
	Kind    OperationKind
	Points  int    // what it cost in the end
	Fault   Fault  //
	Refused string // the reason of the gate's own refusal: nothing was tried
}

// Target is a mutation and what it changes.
type Target struct {
	Mutation string // "updateDevice"
	Entity   string // an id
}

// Abuse watches how callers behave, and refuses those who misbehave for a while. The caller is
// that of the context. Its refusals are RESOURCE_EXHAUSTED with the time after which to come back.
type Abuse interface {
	// Admit refuses a caller whose operations of the kind kept failing by its own fault.
	Admit(ctx context.Context, kind OperationKind) error
	// Repeat refuses a caller that does the same to the same thing in a loop.
	Repeat(ctx context.Context, targets []Target) error
	// Note is told how every operation ended.
	Note(ctx context.Context, outcome Outcome)

	// Usage tells what callers did in the window, those who asked most first.
	Usage(ctx context.Context, window CallWindow) ([]*CallerUsage, error)
	// Release lets a caller in again that is refused for abuse; NOT_FOUND when there is none.
	Release(ctx context.Context, name string) (*CallerUsage, error)
}

// CallWindow is how far back usage is told.
type CallWindow string

// The windows.
const (
	LastMinute CallWindow = "LAST_MINUTE"
	LastHour   CallWindow = "LAST_HOUR"
	LastDay    CallWindow = "LAST_DAY"
)

// CallerKind is what a caller is known by.
type CallerKind string

// The kinds of callers.
const (
	CallerAPIKey  CallerKind = "API_KEY"
	CallerAccount CallerKind = "ACCOUNT"
	CallerNetwork CallerKind = "NETWORK"
)

// CallerUsage is what one caller did.
type CallerUsage struct {
	Name       string
	Kind       CallerKind
	AccountID  string // "" for a network
	APIKeyID   string // "" without an API key
	Requests   int
	Failed     int // by the caller's fault
	Faults     int // by ours
	Refused    int
	Refusals   []*RefusalCount
	Points     int
	LastSeenAt time.Time
	Breakers   []*CallerBreaker
}

// RefusalCount is how often a caller was refused for a reason.
type RefusalCount struct {
	Reason string
	Count  int
}

// BreakerState is that of a breaker.
type BreakerState string

// The states.
const (
	BreakerOpen     BreakerState = "OPEN"
	BreakerHalfOpen BreakerState = "HALF_OPEN"
)

// CallerBreaker refuses some operations of a caller.
type CallerBreaker struct {
	Operation OperationKind
	Mutation  *string // of a loop
	Entity    *string // of a loop
	State     BreakerState
	Reason    string
	Since     time.Time
	RetryAt   *time.Time // nil once it is tried again
}
