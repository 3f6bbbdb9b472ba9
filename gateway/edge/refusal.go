package edge

import (
	"net/http"
	"strings"

	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/sluicehq/sluice/gateway/admission"
	"github.com/sluicehq/sluice/graph"
	"github.com/sluicehq/sluice/internal/errs"
)

// refuse responds to a request that is not GraphQL, with an HTTP status by the error.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	e := errs.From(err)
	admission.ReportRetry(w.Header(), e.RetryAfter)
	body, _ := graph.AppendResult(nil, refusalOf(r.Context(), e), false) // texts always encode
	write(w, httpStatus(e), accepted(r), body)
}

// requestStatus is the HTTP status of an operation that did not run.
func requestStatus(problems gqlerror.List) int {
	for _, problem := range problems {
		code, _ := problem.Extensions["code"].(string)
		if !strings.HasPrefix(code, "GRAPHQL_") {
			return httpStatus(&errs.Error{Code: errs.Code(code)})
		}
	}
	return http.StatusBadRequest
}

func httpStatus(e *errs.Error) int {
	switch e.Reason {
	case "BODY_TOO_LARGE":
		return http.StatusRequestEntityTooLarge
	case "BODY_TOO_SLOW":
		return http.StatusRequestTimeout
	case "MEDIA_TYPE_UNSUPPORTED":
		return http.StatusUnsupportedMediaType
	case "METHOD_NOT_ALLOWED":
		return http.StatusMethodNotAllowed
	}
	switch e.Code {
	case errs.InvalidArgument, errs.FailedPrecondition, errs.PersistedQueryNotFound, errs.PersistedQueryNotSupported:
		return http.StatusBadRequest
	case errs.Unauthenticated:
		return http.StatusUnauthorized
	case errs.PermissionDenied:
		return http.StatusForbidden
	case errs.ResourceExhausted:
		return http.StatusTooManyRequests
	case errs.Unavailable:
		return http.StatusServiceUnavailable
	case errs.DeadlineExceeded:
		return http.StatusGatewayTimeout
	}
	return http.StatusInternalServerError
}
