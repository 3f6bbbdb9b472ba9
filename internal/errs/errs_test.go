package errs_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/internal/errs"
)

func TestFromVariousErrorsReturnsCode(t *testing.T) {
	t.Parallel()
	refusal := errs.Invalid("name", "must not be empty")
	cases := []struct {
		name string
		err  error
		code errs.Code
	}{
		{"a refusal keeps its code through wrapping", fmt.Errorf("create job: %w", refusal), errs.InvalidArgument},
		{"a deadline", fmt.Errorf("query: %w", context.DeadlineExceeded), errs.DeadlineExceeded},
		{"a cancelled context", context.Canceled, errs.Cancelled},
		{"any other error", errors.New("dial tcp 10.0.0.7: refused"), errs.Internal},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := errs.From(c.err); got.Code != c.code {
				t.Errorf("code %s, want %s", got.Code, c.code)
			}
		})
	}
	if errs.From(nil) != nil {
		t.Error("From(nil) is not nil")
	}
}

func TestFromUnknownErrorHidesItsText(t *testing.T) {
	t.Parallel()
	cause := errors.New(`pq: relation "trips" does not exist`)
	e := errs.From(fmt.Errorf("list trips: %w", cause))
	if strings.Contains(e.Message, "trips") {
		t.Errorf("the message shows internals: %q", e.Message)
	}
	if !errors.Is(e, cause) || !strings.Contains(e.Error(), "trips") {
		t.Error("the cause is lost for logs")
	}
}

func TestIsSameCodeAndReasonMatches(t *testing.T) {
	t.Parallel()
	open := errs.New(errs.FailedPrecondition, "TRIP_ALREADY_OPEN", "trip %s is open", "a")
	again := errs.New(errs.FailedPrecondition, "TRIP_ALREADY_OPEN", "trip %s is open", "b")
	if !errors.Is(fmt.Errorf("start: %w", open), again) {
		t.Error("same code and reason, yet not the same error")
	}
	if errors.Is(open, errs.Missing("trip", "a")) {
		t.Error("different errors compare equal")
	}
}

func TestFaultOfVariousCodesNamesWhoCanFixIt(t *testing.T) {
	t.Parallel()
	for want, list := range map[errs.Fault][]error{
		errs.FaultNone:    {nil},
		errs.FaultInput:   {errs.Invalid("name", "is empty"), errs.Missing("trip", "trip_1"), errs.New(errs.PersistedQueryNotFound, "", "")},
		errs.FaultAccess:  {errs.Denied("no"), errs.New(errs.Unauthenticated, "", "")},
		errs.FaultLoad:    {errs.Conflict("trip", 1, 2), errs.New(errs.ResourceExhausted, "", ""), fmt.Errorf("call: %w", context.Canceled)},
		errs.FaultService: {errs.New(errs.Unavailable, "", ""), context.DeadlineExceeded, errors.New("dial tcp: refused")},
	} {
		for _, err := range list {
			if got := errs.FaultOf(err); got != want {
				t.Errorf("%v: fault %d, want %d", err, got, want)
			}
		}
	}
	if errs.IsMissing(nil) || !errs.IsMissing(fmt.Errorf("get: %w", errs.Missing("trip", "trip_1"))) {
		t.Error("only NOT_FOUND is missing")
	}
}
