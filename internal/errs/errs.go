// Package errs is the one error model of Sluice: what went wrong, in words that a caller can act on.
//
// A rule that refuses makes an *Error with a canonical code (https://google.aip.dev/193), a stable
// reason and a sentence. Whatever is not an *Error is a fault of ours: From turns it into INTERNAL
// and keeps its text away from callers. The wire forms (gRPC status, GraphQL extensions) are made
// elsewhere, once each: internal/rpc and graph/errors.go.
package errs

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Code is one of Google's canonical error names, as gRPC uses them.
type Code string

// The codes that Sluice answers with.
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

// The codes of documents that are asked for by hash, which clients look for.
const (
	PersistedQueryNotFound     Code = "PERSISTED_QUERY_NOT_FOUND"
	PersistedQueryNotSupported Code = "PERSISTED_QUERY_NOT_SUPPORTED"
)

// Reasons that more than one service gives. A service's own reasons stand beside its rules.
const (
	ReasonInvalidField    = "INVALID_FIELD"
	ReasonNotFound        = "NOT_FOUND"
	ReasonNotAllowed      = "NOT_ALLOWED"
	ReasonVersionConflict = "VERSION_CONFLICT"
	ReasonKeyReused       = "IDEMPOTENCY_KEY_REUSED"
	ReasonServiceDown     = "SERVICE_UNAVAILABLE"
	ReasonDeadline        = "DEADLINE_EXCEEDED"
	ReasonInternal        = "INTERNAL"
)

// Error is a refusal or a failure as a caller sees it.
type Error struct {
	Code       Code
	Reason     string        // UPPER_SNAKE and stable: programs may switch on it
	Message    string        // one sentence for a person; no internals
	Service    string        // who refused: "trip", "device", ...; "" until it crosses a process border
	RetryAfter time.Duration // when to come back; 0 when unknown
	cause      error
}

// New makes an Error; the message is formatted like fmt.Sprintf.
func New(code Code, reason, format string, args ...any) *Error {
	return &Error{Code: code, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// Invalid says that the named input field is wrong, and why.
func Invalid(field, format string, args ...any) *Error {
	return New(InvalidArgument, ReasonInvalidField, "%s: %s", field, fmt.Sprintf(format, args...))
}

// Missing says that there is no such thing, or that the caller may not know of it.
func Missing(what, id string) *Error {
	return New(NotFound, ReasonNotFound, "there is no %s %.100q", what, id)
}

// Denied says that the caller is known and may not do this.
func Denied(format string, args ...any) *Error {
	return New(PermissionDenied, ReasonNotAllowed, format, args...)
}

// Conflict says that the thing has moved on since the caller read it.
func Conflict(what string, expected, actual int64) *Error {
	return New(Aborted, ReasonVersionConflict, "the %s is at version %d, not %d: read it again", what, actual, expected)
}

// Because keeps the cause for logs; it is never shown to callers.
func (e *Error) Because(cause error) *Error {
	e.cause = cause
	return e
}

// Error gives the message and, for logs, the cause.
func (e *Error) Error() string {
	if e.cause != nil {
		return fmt.Sprintf("%s: %v", e.Message, e.cause)
	}
	return e.Message
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.cause }

// Is matches another *Error by code and reason, so that sentinel values can be compared.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Reason == e.Reason
}

// Retryable tells whether the same call may succeed later without a change by the caller.
func (e *Error) Retryable() bool {
	return e.Code == Unavailable || e.Code == DeadlineExceeded || e.RetryAfter > 0
}

// From finds the *Error in err, or makes one: context ends become DEADLINE_EXCEEDED and CANCELLED,
// anything else INTERNAL with a message that tells nothing. From(nil) is nil.
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
