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
	"encoding/json"
	"fmt"
	"log/slog"
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
	parts := strings.Split(path, ".")
	if len(parts) > 2 && parts[0] == "sluice" {
		return parts[1], method
	}
	return path, method
}

// outgoing puts into the metadata what the server must know.
func (o Options) outgoing(ctx context.Context) (context.Context, error) {
	md := metadata.MD{}
	if who := caller.FromContext(ctx); who.Known() {
		encoded, err := json.Marshal(who)
		if err != nil {
			return nil, fmt.Errorf("write the caller: %w", err)
		}
		md.Set(callerKey, string(encoded))
	}
	if id := obs.RequestID(ctx); id != "" {
		md.Set(requestIDKey, id)
	}
	if o.Token != "" {
		md.Set(tokenKey, o.Token)
	}
	o.Tracing.Inject(ctx, carrier(md))
	return metadata.NewOutgoingContext(ctx, md), nil
}

// incoming reads what outgoing wrote. What does not read as a caller is nobody.
func (o Options) incoming(ctx context.Context) context.Context {
	md, _ := metadata.FromIncomingContext(ctx)
	ctx = o.Tracing.Extract(ctx, carrier(md))
	if id := first(md, requestIDKey); id != "" {
		ctx = obs.WithRequestID(ctx, id)
	}
	var who caller.Caller
	if encoded := first(md, callerKey); encoded != "" && json.Unmarshal([]byte(encoded), &who) == nil {
		ctx = caller.NewContext(ctx, who)
	}
	return ctx
}

func first(md metadata.MD, key string) string {
	if values := md.Get(key); len(values) > 0 {
		return values[0]
	}
	return ""
}

// carrier lets trace context travel in metadata.
type carrier metadata.MD

func (c carrier) Get(key string) string { return first(metadata.MD(c), key) }
func (c carrier) Set(key, value string) { metadata.MD(c).Set(key, value) }
func (c carrier) Keys() []string {
	keys := make([]string, 0, len(c))
	for key := range c {
		keys = append(keys, key)
	}
	return keys
}

func tokenOf(ctx context.Context) string {
	md, _ := metadata.FromIncomingContext(ctx)
	return first(md, tokenKey)
}
