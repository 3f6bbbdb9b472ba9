// Package rpc is how the parts of Sluice call each other: gRPC, over TCP between processes and over
// an in-process channel within one, by the same code either way.
//
// What it carries beside the message: the caller, the request id, the trace and the deadline.
// Errors cross as gRPC status with ErrorInfo and come out as the *errs.Error that went in, with the
// name of the service. A panic in a handler is INTERNAL and a log line, never the end of the
// process. A server that listens takes calls only with the shared token, when there is one.
package rpc

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/metadata"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/obs"
)

// Options are what both ends of a call share.
type Options struct {
	Token   string // shared by all processes of one installation; "" asks for none
	Logger  *slog.Logger
	Tracing *obs.Tracing
	Metrics *Metrics
}

// Metadata keys. A key that ends in -bin carries bytes.
const (
	callerKey    = "sluice-caller-bin"
	requestIDKey = "sluice-request-id"
	tokenKey     = "sluice-token"
)

// Metrics count calls by service, method and code, and time them.
type Metrics struct {
	clientCalls *prometheus.CounterVec
	clientTime  *prometheus.HistogramVec
	serverCalls *prometheus.CounterVec
}

// NewMetrics registers the metrics of calls.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	m := &Metrics{
		clientCalls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_rpc_client_calls_total", Help: "Calls made to services, by outcome.",
		}, []string{"service", "method", "code"}),
		clientTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sluice_rpc_client_seconds", Help: "How long calls to services took.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 3, 11),
		}, []string{"service"}),
		serverCalls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_rpc_server_calls_total", Help: "Calls that services answered, by outcome.",
		}, []string{"service", "method", "code"}),
	}
	registry.MustRegister(m.clientCalls, m.clientTime, m.serverCalls)
	return m
}

// split takes "/sluice.trip.v1.Trips/StartTrip" apart into "trip" and "StartTrip".
func split(fullMethod string) (service, method string) {
	path, method, _ := strings.Cut(strings.TrimPrefix(fullMethod, "/"), "/")
	if rest, ours := strings.CutPrefix(path, "sluice."); ours {
		if service, _, found := strings.Cut(rest, "."); found {
			return service, method
		}
	}
	return path, method
}

// outgoing puts into the metadata what the server must know.
func (o Options) outgoing(ctx context.Context) (context.Context, error) {
	pairs := make(pairs, 0, 8)
	who, err := caller.Encoded(ctx)
	if err != nil {
		return nil, err
	}
	if who != "" {
		pairs.Set(callerKey, who)
	}
	if id := obs.RequestID(ctx); id != "" {
		pairs.Set(requestIDKey, id)
	}
	if o.Token != "" {
		pairs.Set(tokenKey, o.Token)
	}
	o.Tracing.Inject(ctx, &pairs)
	return metadata.AppendToOutgoingContext(metadata.NewOutgoingContext(ctx, nil), pairs...), nil
}

// incoming reads what outgoing wrote. What does not read as a caller is nobody.
func (o Options) incoming(ctx context.Context) context.Context {
	md, _ := metadata.FromIncomingContext(ctx)
	ctx = o.Tracing.Extract(ctx, carrier(md))
	if id := first(md, requestIDKey); id != "" {
		ctx = obs.WithRequestID(ctx, id)
	}
	if encoded := first(md, callerKey); encoded != "" {
		ctx = caller.NewContext(ctx, caller.Decode(encoded))
	}
	return ctx
}

func first(md metadata.MD, key string) string {
	if values := md.Get(key); len(values) > 0 {
		return values[0]
	}
	return ""
}

// pairs are keys and values that go out: a map would be taken apart again. Trace context is written
// into them and not read.
type pairs []string

func (p *pairs) Set(key, value string) { *p = append(*p, key, value) }
func (*pairs) Get(string) string       { return "" }
func (*pairs) Keys() []string          { return nil }

// carrier reads trace context out of what came in.
type carrier metadata.MD

func (c carrier) Get(key string) string { return first(metadata.MD(c), key) }
func (carrier) Set(string, string)      {}
func (c carrier) Keys() []string        { return slices.Collect(maps.Keys(c)) }

func tokenOf(ctx context.Context) string {
	md, _ := metadata.FromIncomingContext(ctx)
	return first(md, tokenKey)
}
