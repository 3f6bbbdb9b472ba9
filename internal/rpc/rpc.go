// Package rpc is the gRPC client and server of Sluice: over TCP between processes, and over an in-process channel
// within one. A call has the caller, the request id, the trace and the deadline. An error is a gRPC status with
// ErrorInfo, which the client decodes to an equal *errs.Error with the name of the service. A panic in a handler is
// INTERNAL and a log line. A server on a listener refuses calls without the shared token, if there is one. A service
// without a connection is UNAVAILABLE.
package rpc

import (
	"context"
	"log/slog"
	"maps"
	"slices"

	"google.golang.org/grpc/metadata"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/obs"
)

// Options are for client and server.
type Options struct {
	Token   string // shared by all processes; "" admits every call, for tests
	Logger  *slog.Logger
	Tracing *obs.Tracing
	Metrics *Metrics
}

// The keys of metadata. A key with the suffix -bin has a binary value.
const (
	callerKey    = "sluice-caller-bin"
	requestIDKey = "sluice-request-id"
	tokenKey     = "sluice-token"
)

// outgoing adds the metadata that the server decodes.
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
	return metadata.AppendToOutgoingContext(ctx, pairs...), nil
}

// incoming decodes the metadata of outgoing. An invalid caller is anonymous.
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

// pairs are outgoing metadata without the conversion of a map. Trace context is injected into them.
type pairs []string

func (p *pairs) Set(key, value string) { *p = append(*p, key, value) }
func (*pairs) Get(string) string       { return "" }
func (*pairs) Keys() []string          { return nil }

// carrier is incoming metadata, from which trace context is extracted.
type carrier metadata.MD

func (c carrier) Get(key string) string { return first(metadata.MD(c), key) }
func (carrier) Set(string, string)      {}
func (c carrier) Keys() []string        { return slices.Collect(maps.Keys(c)) }

func tokenOf(ctx context.Context) string {
	md, _ := metadata.FromIncomingContext(ctx)
	return first(md, tokenKey)
}
