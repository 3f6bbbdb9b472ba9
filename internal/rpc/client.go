package rpc

import (
	"context"
	"strings"
	"time"

	"github.com/fullstorydev/grpchan"
	"go.opentelemetry.io/otel/codes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
)

// balancing distributes calls over the addresses of a service whose health check succeeds:
// https://github.com/grpc/grpc/blob/master/doc/service_config.md
const balancing = `{"loadBalancingConfig": [{"round_robin": {}}], "healthCheckConfig": {"serviceName": ""}}`

// Dial returns a connection to a service at addr: host:port, or several with commas. A host name may have several
// addresses. Calls are distributed over all addresses that respond. It connects at the first call, and reconnects with
// backoff; a call without a connection is UNAVAILABLE.
func Dial(addr string, options Options) (*grpc.ClientConn, error) {
	target, list := "dns:///"+addr, []grpc.DialOption(nil)
	if strings.Contains(addr, ",") {
		addresses := manual.NewBuilderWithScheme("list")
		addresses.InitialState(resolver.State{Endpoints: endpointsOf(addr)})
		target, list = "list:///"+addr, append(list, grpc.WithResolvers(addresses))
	}
	return grpc.NewClient(target, append(list,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUnaryInterceptor(options.client()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.ForceCodecV2(newCodec())),
		grpc.WithDisableServiceConfig(), // of DNS
		grpc.WithDefaultServiceConfig(balancing),
		grpc.WithNoProxy(),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingInterval, Timeout: pingTimeout}),
		grpc.WithStaticStreamWindowSize(window),
		grpc.WithStaticConnWindowSize(window),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnect(), MinConnectTimeout: time.Second}),
	)...)
}

func endpointsOf(addrs string) (endpoints []resolver.Endpoint) {
	for addr := range strings.SplitSeq(addrs, ",") {
		endpoints = append(endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: strings.TrimSpace(addr)}}})
	}
	return endpoints
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
