package rpc

import (
	"context"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/obs"
	"github.com/sluicehq/sluice/services/device/maintenance"
)

// recorded adds calls of API keys that act on devices to the audit log, with any outcome. It skips reads, which are
// many and change nothing, and readings, which are stored themselves.
type recorded struct {
	grpc.ServiceRegistrar
	calls *maintenance.AuditLog
}

func acts(method string) bool {
	for _, reads := range []string{"BatchGet", "BatchList", "BatchQuery", "List", "Count", "Record", "Import", "Get", "Keep"} {
		if strings.HasPrefix(method, reads) {
			return false
		}
	}
	return true
}

// RegisterService wraps the handlers of acting methods.
func (r recorded) RegisterService(desc *grpc.ServiceDesc, impl any) {
	wrapped := *desc
	wrapped.Methods = slices.Clone(desc.Methods)
	for i, method := range wrapped.Methods {
		if acts(method.MethodName) {
			wrapped.Methods[i].Handler = r.audited(method.MethodName, method.Handler)
		}
	}
	r.ServiceRegistrar.RegisterService(&wrapped, impl)
}

// audited wraps a handler so that the audit log records the call. It runs inside the interceptor that identifies the
// caller.
func (r recorded) audited(name string, handler grpc.MethodHandler) grpc.MethodHandler {
	return func(srv any, ctx context.Context, decode func(any) error, around grpc.UnaryServerInterceptor) (any, error) {
		return handler(srv, ctx, decode, func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			recordCall := func(ctx context.Context, request any) (any, error) { return r.recordCall(ctx, name, request, handle) }
			if around == nil {
				return recordCall(ctx, request)
			}
			return around(ctx, request, info, recordCall)
		})
	}
}

func (r recorded) recordCall(ctx context.Context, name string, request any, handle grpc.UnaryHandler) (any, error) {
	if caller.FromContext(ctx).APIKeyID == "" {
		return handle(ctx, request)
	}
	started := time.Now()
	reply, err := handle(ctx, request)
	call := maintenance.Call{Name: name, DeviceID: deviceOf(request, reply), Outcome: "OK", Took: time.Since(started)}
	if err != nil {
		e := errs.From(err)
		call.Outcome, call.Reason = string(e.Code), e.Reason
	}
	call.TraceID = traceID(ctx)
	r.calls.Record(ctx, call)
	return reply, err
}

// traceID returns the trace of ctx's request; the request id if requests are not traced.
func traceID(ctx context.Context) string {
	if span := trace.SpanContextFromContext(ctx); span.HasTraceID() {
		return span.TraceID().String()
	}
	return obs.RequestID(ctx)
}

// deviceOf returns the device of a call, from the request or the reply; "" for none.
func deviceOf(request, reply any) string {
	for _, message := range []any{request, reply} {
		if m, ok := message.(interface{ GetDeviceId() string }); ok && m.GetDeviceId() != "" {
			return m.GetDeviceId()
		}
	}
	for _, message := range []any{request, reply} {
		if m, ok := message.(interface{ GetId() string }); ok && ids.Check(ids.Device, m.GetId()) == nil {
			return m.GetId()
		}
	}
	return ""
}
