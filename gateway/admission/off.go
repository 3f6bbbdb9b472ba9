package admission

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/caller"
)

// unlimited is Budgets without limits. Its budget has the limit 0, which is not reported.
type unlimited struct{}

func (unlimited) Charge(context.Context, string, int) (bff.Budget, error)          { return bff.Budget{}, nil }
func (unlimited) Refund(context.Context, int)                                      {}
func (unlimited) AnyBlocked() bool                                                 { return false }
func (unlimited) Blocked(caller.Caller, string) (left bff.Budget, _ time.Duration) { return left, 0 }
func (unlimited) Acquire(context.Context) (release func(), err error)              { return func() {}, nil }
func (unlimited) CheckRepeat(context.Context, string) (left bff.Budget, points int, err error) {
	return left, 0, nil
}

// unobserved is Abuse that observes no caller.
type unobserved struct{ bff.Abuse }

func (unobserved) Admit(context.Context, bff.OperationKind) error { return nil }
func (unobserved) CheckLoop(context.Context, []bff.Target) error  { return nil }
func (unobserved) Note(context.Context, bff.Outcome)              {}
func (unobserved) Unread(context.Context, string) error           { return nil }
func (unobserved) Refused(caller.Caller, string, string)          {}
func (unobserved) Verify(_ context.Context, verify func() (caller.Caller, error)) (caller.Caller, error) {
	return verify()
}

// neverOverloaded is Overload that sheds nothing.
type neverOverloaded struct{}

func (neverOverloaded) Admit(context.Context, string) error { return nil }

// unrecorded is Refusals that records nothing.
type unrecorded struct{}

func (unrecorded) RecordRefusal(context.Context, string, string, string, string) error { return nil }
