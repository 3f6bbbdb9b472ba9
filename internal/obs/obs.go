// Package obs makes Sluice visible: structured logs that carry the request they belong to, traces
// over OTLP, and the metrics registry.
//
// It promises that a log line written with a request's context names its request and trace, and
// that nothing here fails a request.
package obs

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.26.0"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

type requestIDKey struct{}

// WithRequestID gives a context that belongs to the request.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestID is the request that ctx belongs to, or "".
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// NewLogger writes lines of the level and above to w, as "json" or as "text".
func NewLogger(w io.Writer, level slog.Level, format string) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.New(contextHandler{slog.NewJSONHandler(w, options)})
	}
	return slog.New(contextHandler{slog.NewTextHandler(w, options)})
}

// contextHandler adds what the context knows of the request.
type contextHandler struct{ slog.Handler }

func (h contextHandler) Handle(ctx context.Context, record slog.Record) error {
	if id := RequestID(ctx); id != "" {
		record.AddAttrs(slog.String("request_id", id))
	}
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		record.AddAttrs(slog.String("trace_id", span.TraceID().String()))
	}
	return h.Handler.Handle(ctx, record)
}

func (h contextHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return contextHandler{h.Handler.WithAttrs(attrs)}
}

func (h contextHandler) WithGroup(name string) slog.Handler {
	return contextHandler{h.Handler.WithGroup(name)}
}

// Tracing makes spans and carries them between processes (W3C Trace Context).
type Tracing struct {
	provider   trace.TracerProvider
	tracer     trace.Tracer
	propagator propagation.TextMapPropagator
	shutdown   func(context.Context) error
}

// NoTracing makes spans that nobody sees, at next to no cost.
func NoTracing() *Tracing {
	return tracing(noop.NewTracerProvider(), func(context.Context) error { return nil })
}

func tracing(provider trace.TracerProvider, shutdown func(context.Context) error) *Tracing {
	return &Tracing{
		provider: provider, tracer: provider.Tracer("github.com/sluicehq/sluice"), propagator: propagation.TraceContext{}, shutdown: shutdown,
	}
}

// NewTracing exports the ratio (0 to 1) of all traces to the OTLP endpoint (a gRPC URL, as in
// http://127.0.0.1:4317); without an endpoint it is NoTracing.
func NewTracing(ctx context.Context, endpoint string, ratio float64) (*Tracing, error) {
	if endpoint == "" {
		return NoTracing(), nil
	}
	exporter, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpointURL(endpoint))
	if err != nil {
		return nil, fmt.Errorf("export traces to %s: %w", endpoint, err)
	}
	return NewTracingTo(sdktrace.NewBatchSpanProcessor(exporter), ratio), nil
}

// NewTracingTo hands finished spans to the processor.
func NewTracingTo(processor sdktrace.SpanProcessor, ratio float64) *Tracing {
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSpanProcessor(processor),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(ratio))),
		sdktrace.WithResource(resource.NewSchemaless(semconv.ServiceName("sluice"))),
	)
	return tracing(provider, provider.Shutdown)
}

// Provider is for libraries that make spans of their own.
func (t *Tracing) Provider() trace.TracerProvider { return t.provider }

// Start begins a span below the one in ctx.
func (t *Tracing) Start(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	return t.tracer.Start(ctx, name, options...)
}

// Inject writes the span of ctx into what goes to another process.
func (t *Tracing) Inject(ctx context.Context, carrier propagation.TextMapCarrier) {
	t.propagator.Inject(ctx, carrier)
}

// Extract reads what Inject wrote.
func (t *Tracing) Extract(ctx context.Context, carrier propagation.TextMapCarrier) context.Context {
	return t.propagator.Extract(ctx, carrier)
}

// Shutdown sends what is left to send.
func (t *Tracing) Shutdown(ctx context.Context) error { return t.shutdown(ctx) }
