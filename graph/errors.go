package graph

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/sluicehq/sluice/graph/plan"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/obs"
)

// Codes of documents that do not get as far as a service.
const (
	codeParseFailed      = "GRAPHQL_PARSE_FAILED"
	codeValidationFailed = "GRAPHQL_VALIDATION_FAILED"
)

// Present turns any error into GraphQL's: a message, where it stands in the answer, and the
// extensions that programs act on. What is INTERNAL goes to the log and not to the caller, unless a
// service has written it down already.
func Present(logger *slog.Logger) graphql.ErrorPresenterFunc {
	return func(ctx context.Context, err error) *gqlerror.Error {
		shown := &gqlerror.Error{Path: graphql.GetPath(ctx)}
		if g, ok := errors.AsType[*gqlerror.Error](err); ok {
			shown.Path, shown.Locations = g.Path, g.Locations
			if code, ok := g.Extensions["code"].(string); ok && isDocumentCode(code) {
				shown.Message = plainly(g.Message)
				shown.Extensions = extensions(ctx, code, strings.TrimPrefix(code, "GRAPHQL_"), nil)
				return shown
			}
		}
		e := errs.From(err)
		if e.Code == errs.Internal && (e.Service == "" || e.Unwrap() != nil) {
			logger.ErrorContext(ctx, "a field failed", "path", shown.Path.String(), "error", err.Error())
		}
		outside := Shown(ctx, e)
		outside.Path, outside.Locations = shown.Path, shown.Locations
		return outside
	}
}

// plainly mends what gqlparser says of a number that is none for its type: it tells 0 in its place.
func plainly(fault string) string {
	if value, of, is := strings.Cut(fault, " as "); is && (value == "cannot use value 0" || value == "cannot use value 0.000000") {
		return "cannot use the number as " + of
	}
	return fault
}

// Shown is how an error looks outside, before there is an operation that it could belong to.
func Shown(ctx context.Context, err error) *gqlerror.Error {
	e := errs.From(err)
	return &gqlerror.Error{Message: e.Message, Extensions: extensions(ctx, string(e.Code), e.Reason, e)}
}

// Invalid says that a document cannot run as it was sent.
func Invalid(format string, args ...any) *gqlerror.Error {
	return &gqlerror.Error{Message: fmt.Sprintf(format, args...), Extensions: map[string]any{"code": codeValidationFailed}}
}

// RefusePlan returns the error of an operation that has too many plans, or too large a one.
func RefusePlan(outcome plan.Outcome) error {
	switch outcome {
	case plan.Variants:
		return errs.New(errs.InvalidArgument, "TOO_MANY_VARIANTS", "the operation is used with too many combinations of @skip and @include")
	case plan.Size:
		return errs.New(errs.InvalidArgument, "PLAN_TOO_LARGE", "the operation selects too many fields, its fragments expanded")
	}
	return Invalid("a variable of @skip or @include is null")
}

// NoOperation says why a document's operations did not tell which one to run, by the name that was asked for.
func NoOperation(name string) *gqlerror.Error {
	if name == "" {
		return Invalid("the document has several operations: name one of them in operationName")
	}
	return Invalid("the document has no operation %.100q", name)
}

// maxFaults is how many faults of a document are told: one can have thousands.
const maxFaults = 20

// Few gives the first of the errors.
func Few(problems gqlerror.List) gqlerror.List { return problems[:min(len(problems), maxFaults)] }

func isDocumentCode(code string) bool { return code == codeParseFailed || code == codeValidationFailed }

func extensions(ctx context.Context, code, reason string, e *errs.Error) map[string]any {
	ext := map[string]any{"code": code, "reason": reason, "retryable": e != nil && e.Retryable()}
	if id := obs.RequestID(ctx); id != "" {
		ext["requestId"] = id
	}
	if e == nil {
		return ext
	}
	if e.Service != "" {
		ext["service"] = strings.ToUpper(e.Service)
	}
	if e.RetryAfter > 0 {
		ext["retryAfterMs"] = e.RetryAfter.Milliseconds()
	}
	return ext
}

// Recover turns a panic of a resolver into an INTERNAL error of its field.
func Recover(ctx context.Context, panicked any) error {
	return fmt.Errorf("panic at %s: %v\n%s", graphql.GetPath(ctx), panicked, debug.Stack())
}
