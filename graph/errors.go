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

// Codes of documents that are refused before execution.
const (
	codeParseFailed      = "GRAPHQL_PARSE_FAILED"
	codeValidationFailed = "GRAPHQL_VALIDATION_FAILED"
)

// Present returns the presenter that converts any error to a GraphQL error: message, path, and extensions. An
// INTERNAL error is hidden from the caller, and logged unless a service has logged it.
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
		public := Public(ctx, e)
		public.Path, public.Locations = shown.Path, shown.Locations
		return public
	}
}

// plainly corrects gqlparser's message about a number of the wrong type, which names 0.
func plainly(message string) string {
	if value, of, ok := strings.Cut(message, " as "); ok && (value == "cannot use value 0" || value == "cannot use value 0.000000") {
		return "cannot use the number as " + of
	}
	return message
}

// Public returns the error as callers see it, without a path.
func Public(ctx context.Context, err error) *gqlerror.Error {
	e := errs.From(err)
	return &gqlerror.Error{Message: e.Message, Extensions: extensions(ctx, string(e.Code), e.Reason, e)}
}

// Invalid returns the error of a document, or of variables, that cannot be executed.
func Invalid(format string, args ...any) *gqlerror.Error {
	return &gqlerror.Error{Message: fmt.Sprintf(format, args...), Extensions: map[string]any{"code": codeValidationFailed}}
}

// RefusePlan returns the error of an operation with too many plans, or too large a one.
func RefusePlan(outcome plan.Outcome) error {
	switch outcome {
	case plan.Variants:
		return errs.New(errs.InvalidArgument, "TOO_MANY_VARIANTS", "the operation is used with too many combinations of @skip and @include")
	case plan.Size:
		return errs.New(errs.InvalidArgument, "PLAN_TOO_LARGE", "the operation selects too many fields, its fragments expanded")
	}
	return Invalid("a variable of @skip or @include is null")
}

// NoOperation returns the error of a request whose operationName selects no operation of the document.
func NoOperation(name string) *gqlerror.Error {
	if name == "" {
		return Invalid("the document has several operations: name one of them in operationName")
	}
	return Invalid("the document has no operation %.100q", name)
}

// maxErrors bounds the errors of a document in a response.
const maxErrors = 20

// Truncate returns the first of the errors.
func Truncate(problems gqlerror.List) gqlerror.List { return problems[:min(len(problems), maxErrors)] }

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

// Recover converts a panic of a resolver to an INTERNAL error of its field.
func Recover(ctx context.Context, panicked any) error {
	return fmt.Errorf("panic at %s: %v\n%s", graphql.GetPath(ctx), panicked, debug.Stack())
}
