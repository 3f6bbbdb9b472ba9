// Package errs is the error model: a code, a reason and a message that a client can act on. A rule that refuses a
// request returns an *Error with a canonical code (https://google.aip.dev/193), a stable reason and one sentence.
// From converts any other error to INTERNAL with a neutral message, and only logs have its text. FaultOf classifies
// errors by who can fix them. gRPC status is encoded in internal/rpc, GraphQL extensions in graph/errors.go.
package errs

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Code is one of Google's canonical error names, as in gRPC.
type Code string

// The codes of responses.
const (
	InvalidArgument    Code = "INVALID_ARGUMENT"
	Unauthenticated    Code = "UNAUTHENTICATED"
	PermissionDenied   Code = "PERMISSION_DENIED"
	NotFound           Code = "NOT_FOUND"
	AlreadyExists      Code = "ALREADY_EXISTS"
	FailedPrecondition Code = "FAILED_PRECONDITION"
	Aborted            Code = "ABORTED"
	ResourceExhausted  Code = "RESOURCE_EXHAUSTED"
	Unavailable        Code = "UNAVAILABLE"
	DeadlineExceeded   Code = "DEADLINE_EXCEEDED"
	Cancelled          Code = "CANCELLED"
	Internal           Code = "INTERNAL"
)

// The codes of persisted documents, which GraphQL clients expect.
const (
	PersistedQueryNotFound     Code = "PERSISTED_QUERY_NOT_FOUND"
	PersistedQueryNotSupported Code = "PERSISTED_QUERY_NOT_SUPPORTED"
)

// Reasons of several services. Others are defined beside their rules.
const (
	ReasonInvalidField    = "INVALID_FIELD"
	ReasonNotFound        = "NOT_FOUND"
	ReasonNotAllowed      = "NOT_ALLOWED"
	ReasonVersionConflict = "VERSION_CONFLICT"
	ReasonKeyReused       = "IDEMPOTENCY_KEY_REUSED"
	ReasonServiceDown     = "SERVICE_UNAVAILABLE"
	ReasonDeadline        = "DEADLINE_EXCEEDED"
	ReasonInternal        = "INTERNAL"
	ReasonOutcomeUnknown  = "OUTCOME_UNKNOWN" // the write is durable or lost
)

// Error is a refusal or a failure, as a client receives it.
type Error struct {
	Code       Code
	Reason     string        // UPPER_SNAKE and stable: programs depend on it
	Message    string        // one sentence, without internals
	Service    string        // "trip", "device", …; "" before the error crosses a process boundary
	RetryAfter time.Duration // the delay before a retry; 0 when unknown
	cause      error
}

// New returns an Error. The message is formatted like fmt.Sprintf.
func New(code Code, reason, format string, args ...any) *Error {
	return &Error{Code: code, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// Invalid returns the error of an invalid input field.
func Invalid(field, format string, args ...any) *Error {
	return New(InvalidArgument, ReasonInvalidField, "%s: %s", field, fmt.Sprintf(format, args...))
}

// Missing returns the error of an entity that does not exist, or that the caller may not see.
func Missing(what, id string) *Error {
	return New(NotFound, ReasonNotFound, "there is no %s %.100q", what, id)
}

// Denied returns the error of an authenticated caller without the permission.
func Denied(format string, args ...any) *Error {
	return New(PermissionDenied, ReasonNotAllowed, format, args...)
}

// Conflict returns the error of an entity that is not at the expected version.
func Conflict(what string, expected, actual int64) *Error {
	return New(Aborted, ReasonVersionConflict, "the %s is at version %d, not %d: read it again", what, actual, expected)
}

// Because attaches the cause, for logs only.
func (e *Error) Because(cause error) *Error {
	e.cause = cause
	return e
}

// Error returns the message and, for logs, the cause.
func (e *Error) Error() string {
	if e.cause != nil {
		return fmt.Sprintf("%s: %v", e.Message, e.cause)
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// Is compares code and reason, so that sentinel errors work with errors.Is.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Reason == e.Reason
}

// Retryable reports whether a retry of the unchanged call may succeed. A write of unknown outcome is retryable only
// with an idempotency key; then it has a delay.
func (e *Error) Retryable() bool {
	if e.Reason == ReasonOutcomeUnknown {
		return e.RetryAfter > 0
	}
	return e.Code == Unavailable || e.Code == DeadlineExceeded || e.RetryAfter > 0
}

// Final reports whether a retry of the unchanged call would be refused again: the input is at fault, or a limit is
// reached that does not pass with time.
func Final(err error) bool {
	e := From(err)
	return e != nil && (e.Code.Fault() == FaultInput || e.Code == ResourceExhausted && e.RetryAfter == 0)
}

// From returns the *Error in err, or converts it: an ended context to DEADLINE_EXCEEDED or CANCELLED, any other error
// to INTERNAL. From(nil) is nil.
func From(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return New(DeadlineExceeded, ReasonDeadline, "the time for this call ran out").Because(err)
	case errors.Is(err, context.Canceled):
		return New(Cancelled, "CANCELLED", "the call was cancelled").Because(err)
	}
	return New(Internal, ReasonInternal, "something went wrong on our side").Because(err)
}

// IsMissing reports whether err is NOT_FOUND.
func IsMissing(err error) bool { return err != nil && From(err).Code == NotFound }
