package rpc

import (
	"context"
	"time"

	"github.com/fullstorydev/grpchan"
	"go.opentelemetry.io/otel/codes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// Dial returns a connection to a service at addr. It connects at the first call, and reconnects with backoff; a call
// without a connection is UNAVAILABLE.
func Dial(addr string, options Options) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+addr,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUnaryInterceptor(options.client()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.ForceCodecV2(newCodec())),
		grpc.WithDisableServiceConfig(),
		grpc.WithStaticStreamWindowSize(window),
		grpc.WithStaticConnWindowSize(window),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnect(), MinConnectTimeout: time.Second}),
	)
}

// Within wraps an in-process channel in the interceptor of Dial.
func Within(channel grpc.ClientConnInterface, options Options) grpc.ClientConnInterface {
	return grpchan.InterceptClientConn(channel, options.client(), nil)
}

// client is the interceptor of every call.
func (o Options) client() grpc.UnaryClientInterceptor {
	known := methods{metrics: o.Metrics.client(), separator: "/"}
	return func(ctx context.Context, fullMethod string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, callOptions ...grpc.CallOption) error {
		m, started := known.of(fullMethod), time.Now()
		ctx, span := o.Tracing.StartClient(ctx, m.span)
		defer span.End()
		ctx, err := o.outgoing(ctx)
		if err != nil {
			return err
		}
		err = invoke(ctx, fullMethod, request, reply, conn, callOptions...)
		m.count(err, started)
		if err == nil {
			return nil
		}
		refusal := fromStatus(m.service, err)
		span.SetStatus(codes.Error, refusal.Reason)
		return refusal
	}
}
