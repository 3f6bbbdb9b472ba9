package rpc

import (
	"context"
	"crypto/subtle"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/fullstorydev/grpchan/inprocgrpc"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	"github.com/sluicehq/sluice/internal/errs"
)

// maxMessage bounds a message, in bytes: a page of 1,000 items with room to spare.
const maxMessage = 16 << 20

// window is how much either side of a connection may send before it is told to go on, in bytes. It is
// fixed: probing for a better one costs a ping a few messages, and this holds a large page.
const window = 1 << 20

func reconnect() backoff.Config {
	return backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second}
}

// NewServer gives a server for services in processes of their own, with gRPC's health service
// (https://github.com/grpc/grpc/blob/master/doc/health-checking.md) and reflection.
func NewServer(options Options, register func(grpc.ServiceRegistrar)) *grpc.Server {
	server := grpc.NewServer(
		grpc.UnaryInterceptor(options.server(true)),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.ForceServerCodecV2(newCodec()),
		grpc.StaticStreamWindowSize(window),
		grpc.StaticConnWindowSize(window),
	)
	register(server)
	healthpb.RegisterHealthServer(server, health.NewServer())
	reflection.Register(server)
	return server
}

// NewChannel gives services within this process; see Within for calling them.
func NewChannel(options Options, register func(grpc.ServiceRegistrar)) *inprocgrpc.Channel {
	channel := (&inprocgrpc.Channel{}).WithServerUnaryInterceptor(options.server(false))
	register(channel)
	return channel
}

// server wraps every handler. Health and reflection are open: probes have no token.
func (o Options) server(checkToken bool) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
		service, method := split(info.FullMethod)
		if service == "grpc.health.v1.Health" {
			return handle(ctx, request)
		}
		if checkToken && !o.trusted(ctx) {
			return nil, toStatus(service, errs.New(errs.Unauthenticated, "SERVICE_TOKEN", "calls between services need the service token"))
		}
		ctx, span := o.Tracing.Start(o.incoming(ctx), service+"."+method, trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
		reply, err := o.answer(ctx, request, handle)
		err = toStatus(service, o.logged(ctx, service, method, err))
		if o.Metrics != nil {
			o.Metrics.serverCalls.WithLabelValues(service, method, status.Code(err).String()).Inc()
		}
		return reply, err
	}
}

func (o Options) trusted(ctx context.Context) bool {
	if o.Token == "" {
		return true
	}
	return subtle.ConstantTimeCompare([]byte(tokenOf(ctx)), []byte(o.Token)) == 1
}

// answer turns a panic of the handler into an error.
func (o Options) answer(ctx context.Context, request any, handle grpc.UnaryHandler) (reply any, err error) {
	defer func() {
		if p := recover(); p != nil {
			reply, err = nil, fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return handle(ctx, request)
}

// logged writes down what the caller will not be told.
func (o Options) logged(ctx context.Context, service, method string, err error) error {
	if err == nil {
		return nil
	}
	e := errs.From(err)
	if e.Code == errs.Internal {
		o.Logger.ErrorContext(ctx, "call failed", "service", service, "method", method, "error", err.Error())
		return e
	}
	o.Logger.DebugContext(ctx, "call refused", "service", service, "method", method, "reason", e.Reason, "error", err.Error())
	return e
}
