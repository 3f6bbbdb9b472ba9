package rpc

import (
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sluicehq/sluice/internal/errs"
)

// domain is the suffix of the domain in ErrorInfo, as in "trip.sluice".
const domain = ".sluice"

// canonical maps error codes to those of gRPC; a code that it lacks is INTERNAL.
func canonical() map[errs.Code]codes.Code {
	return map[errs.Code]codes.Code{
		errs.InvalidArgument:    codes.InvalidArgument,
		errs.Unauthenticated:    codes.Unauthenticated,
		errs.PermissionDenied:   codes.PermissionDenied,
		errs.NotFound:           codes.NotFound,
		errs.AlreadyExists:      codes.AlreadyExists,
		errs.FailedPrecondition: codes.FailedPrecondition,
		errs.Aborted:            codes.Aborted,
		errs.ResourceExhausted:  codes.ResourceExhausted,
		errs.Unavailable:        codes.Unavailable,
		errs.DeadlineExceeded:   codes.DeadlineExceeded,
		errs.Cancelled:          codes.Canceled,
	}
}

func grpcCode(code errs.Code) codes.Code {
	if c, ok := canonical()[code]; ok {
		return c
	}
	return codes.Internal
}

func errorCode(code codes.Code) errs.Code {
	for ours, theirs := range canonical() {
		if theirs == code {
			return ours
		}
	}
	return errs.Internal
}

func toStatus(service string, err error) error {
	e := errs.From(err)
	if e == nil {
		return nil
	}
	by := e.Service
	if by == "" {
		by = service
	}
	s := status.New(grpcCode(e.Code), e.Message)
	info := &errdetails.ErrorInfo{Reason: e.Reason, Domain: by + domain}
	detailed, detailErr := s.WithDetails(info)
	if e.RetryAfter > 0 {
		detailed, detailErr = s.WithDetails(info, &errdetails.RetryInfo{RetryDelay: durationpb.New(e.RetryAfter)})
	}
	if detailErr != nil {
		return s.Err()
	}
	return detailed.Err()
}

// fromStatus decodes a status of toStatus, or an error of gRPC itself.
func fromStatus(service string, err error) *errs.Error {
	s := status.Convert(err)
	e := &errs.Error{Code: errorCode(s.Code()), Message: s.Message(), Service: service}
	for _, detail := range s.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			e.Reason, e.Service = d.GetReason(), strings.TrimSuffix(d.GetDomain(), domain)
		case *errdetails.RetryInfo:
			e.RetryAfter = d.GetRetryDelay().AsDuration()
		}
	}
	if e.Reason == "" {
		return transportError(service, e.Code, err)
	}
	return e
}

// transportError is an error of gRPC itself. Its addresses are only in the log.
func transportError(service string, code errs.Code, err error) *errs.Error {
	switch code {
	case errs.Unavailable:
		return named(service, errs.New(code, errs.ReasonServiceDown, "the %s service does not answer", service).Because(err), time.Second)
	case errs.DeadlineExceeded:
		return named(service, errs.New(code, errs.ReasonDeadline, "the %s service did not answer in time", service).Because(err), 0)
	case errs.Cancelled:
		return named(service, errs.New(code, "CANCELLED", "the call was cancelled").Because(err), 0)
	case errs.ResourceExhausted:
		return named(service, errs.New(code, "MESSAGE_TOO_LARGE", "the message is too large for the %s service", service).Because(err), 0)
	}
	return named(service, errs.From(err), 0)
}

func named(service string, e *errs.Error, retryAfter time.Duration) *errs.Error {
	e.Service, e.RetryAfter = service, retryAfter
	return e
}
