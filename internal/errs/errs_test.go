package errs_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/internal/errs"
)

func TestFrom(t *testing.T) {
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
		{"a stranger", errors.New("dial tcp 10.0.0.7: refused"), errs.Internal},
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

func TestInternalsStayInside(t *testing.T) {
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

func TestErrorsCompareByCodeAndReason(t *testing.T) {
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
