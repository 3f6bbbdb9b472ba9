package rpc

import (
	"context"
	"crypto/subtle"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/fullstorydev/grpchan/inprocgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/health" // also enables the health checks of clients
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/sluicehq/sluice/internal/errs"
)

// maxMessage is in bytes. A page of 1,000 items is smaller.
const maxMessage = 16 << 20

// window is the flow-control window of each direction of a connection, in bytes. It is fixed, because gRPC's estimate
// costs a ping for every few messages, and larger than a large page.
const window = 1 << 20

// A client pings a server during calls. A process that hangs loses its connections after the sum of both.
const (
	pingInterval = 10 * time.Second
	pingTimeout  = 2 * time.Second
)

func reconnect() backoff.Config {
	return backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second}
}

// NewServer returns a server for a service in its own process, with gRPC's health service
// (https://github.com/grpc/grpc/blob/master/doc/health-checking.md) and reflection.
func NewServer(options Options, register func(grpc.ServiceRegistrar)) *grpc.Server {
	server := grpc.NewServer(
		grpc.UnaryInterceptor(options.server(true)),
		grpc.StreamInterceptor(options.stream),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.ForceServerCodecV2(newCodec()),
		grpc.StaticStreamWindowSize(window),
		grpc.StaticConnWindowSize(window),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingInterval / 2, PermitWithoutStream: true}),
	)
	register(server)
	healthpb.RegisterHealthServer(server, health.NewServer())
	reflection.Register(server)
	return server
}

// NewChannel returns a channel to a service in this process; see Within for the client side.
func NewChannel(options Options, register func(grpc.ServiceRegistrar)) *inprocgrpc.Channel {
	channel := (&inprocgrpc.Channel{}).WithServerUnaryInterceptor(options.server(false))
	register(channel)
	return channel
}

const healthService = "grpc.health.v1.Health"

func errNoToken() error {
	return errs.New(errs.Unauthenticated, "SERVICE_TOKEN", "calls between services need the service token")
}

// stream is the interceptor of streams: reflection, and the health of probes, which have no token.
func (o Options) stream(service any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	if name, _ := split(info.FullMethod); name != healthService && !o.trusted(stream.Context()) {
		return toStatus(name, errNoToken())
	}
	return handle(service, stream)
}

// server is the interceptor of every handler. Health needs no token, because probes have none.
func (o Options) server(checkToken bool) grpc.UnaryServerInterceptor {
	known := methods{metrics: o.Metrics.server(), separator: "."}
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
		m, started := known.of(info.FullMethod), time.Now()
		if m.service == healthService {
			return handle(ctx, request)
		}
		if checkToken && !o.trusted(ctx) {
			return nil, toStatus(m.service, errNoToken())
		}
		ctx, span := o.Tracing.StartServer(o.incoming(ctx), m.span)
		defer span.End()
		reply, err := o.answer(ctx, request, handle)
		err = toStatus(m.service, o.logged(ctx, m.service, m.name, err))
		m.count(err, started)
		return reply, err
	}
}

func (o Options) trusted(ctx context.Context) bool {
	if o.Token == "" {
		return true
	}
	return subtle.ConstantTimeCompare([]byte(tokenOf(ctx)), []byte(o.Token)) == 1
}

func (o Options) answer(ctx context.Context, request any, handle grpc.UnaryHandler) (reply any, err error) {
	defer func() {
		if p := recover(); p != nil {
			reply, err = nil, fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return handle(ctx, request)
}

// logged logs the cause of an error, because the response lacks it.
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
