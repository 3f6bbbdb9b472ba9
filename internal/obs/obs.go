// Package obs has structured logs with the ids of request and trace, and traces over OTLP. A failed export of a trace
// fails no request.
package obs

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.26.0"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

type requestIDKey struct{}

// WithRequestID returns a context with the id of a request.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestID returns the id of the request of a context, or "".
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// NewLogger returns a logger of at least the level to w, in the format "json" or "text".
func NewLogger(w io.Writer, level slog.Level, format string) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.New(contextHandler{slog.NewJSONHandler(w, options)})
	}
	return slog.New(contextHandler{slog.NewTextHandler(w, options)})
}

// contextHandler adds the ids of request and trace to each line.
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

// Tracing starts spans and propagates them between processes (W3C Trace Context).
type Tracing struct {
	provider   trace.TracerProvider
	tracer     trace.Tracer
	propagator propagation.TextMapPropagator
	shutdown   func(context.Context) error
	off        bool // spans are dropped
}

// NoTracing returns a Tracing that drops spans, at almost no cost.
func NoTracing() *Tracing {
	t := tracing(noop.NewTracerProvider(), func(context.Context) error { return nil })
	t.off = true
	return t
}

func tracing(provider trace.TracerProvider, shutdown func(context.Context) error) *Tracing {
	return &Tracing{
		provider: provider, tracer: provider.Tracer("github.com/sluicehq/sluice"), propagator: propagation.TraceContext{}, shutdown: shutdown,
	}
}

// NewTracing returns a Tracing that exports a ratio (0 to 1) of all traces over OTLP/gRPC to host:port or
// http://host:port without TLS, or to https://host:port. Without an endpoint it is NoTracing. The logger reports
// failures of the export and its recovery.
func NewTracing(ctx context.Context, endpoint string, ratio float64, logger *slog.Logger) (*Tracing, error) {
	if endpoint == "" {
		return NoTracing(), nil
	}
	if !strings.Contains(endpoint, "://") {
		endpoint = "http://" + endpoint
	}
	exporter, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpointURL(endpoint))
	if err != nil {
		return nil, fmt.Errorf("export traces to %s: %w", endpoint, err)
	}
	reporting := &reportingExporter{SpanExporter: exporter, logger: logger.With("endpoint", endpoint)}
	return NewTracingTo(sdktrace.NewBatchSpanProcessor(reporting), ratio), nil
}

// reportingExporter logs the first of several failures in a row. The library would write each one to standard error.
type reportingExporter struct {
	sdktrace.SpanExporter
	logger  *slog.Logger
	failing atomic.Bool
}

// ExportSpans exports spans, and drops them on a failure.
func (e *reportingExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	switch {
	case err != nil && !e.failing.Swap(true):
		e.logger.WarnContext(ctx, "traces are not exported", "error", err.Error())
	case err == nil && e.failing.Swap(false):
		e.logger.InfoContext(ctx, "traces are exported again")
	}
	return nil
}

// NewTracingTo returns a Tracing that sends finished spans to the processor.
func NewTracingTo(processor sdktrace.SpanProcessor, ratio float64) *Tracing {
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSpanProcessor(processor),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(ratio))),
		sdktrace.WithResource(resource.NewSchemaless(semconv.ServiceName("sluice"))),
	)
	return tracing(provider, provider.Shutdown)
}

// Provider returns the tracer provider, for libraries.
func (t *Tracing) Provider() trace.TracerProvider { return t.provider }

// Start starts a span as a child of the span of the context.
func (t *Tracing) Start(ctx context.Context, name string, attributes ...attribute.KeyValue) (context.Context, trace.Span) {
	return t.start(ctx, trace.SpanKindInternal, name, attributes...)
}

// StartClient starts the span of a call to another process.
func (t *Tracing) StartClient(ctx context.Context, name string) (context.Context, trace.Span) {
	return t.start(ctx, trace.SpanKindClient, name)
}

// StartServer starts the span of a call from another process.
func (t *Tracing) StartServer(ctx context.Context, name string) (context.Context, trace.Span) {
	return t.start(ctx, trace.SpanKindServer, name)
}

func (t *Tracing) start(ctx context.Context, kind trace.SpanKind, name string, attributes ...attribute.KeyValue) (context.Context, trace.Span) {
	if t.off {
		return ctx, noop.Span{}
	}
	return t.tracer.Start(ctx, name, trace.WithSpanKind(kind), trace.WithAttributes(attributes...))
}

// Inject encodes the span of the context for another process.
func (t *Tracing) Inject(ctx context.Context, carrier propagation.TextMapCarrier) {
	t.propagator.Inject(ctx, carrier)
}

// Extract decodes the span that Inject encoded.
func (t *Tracing) Extract(ctx context.Context, carrier propagation.TextMapCarrier) context.Context {
	return t.propagator.Extract(ctx, carrier)
}

// Shutdown flushes the spans that are not exported yet.
func (t *Tracing) Shutdown(ctx context.Context) error { return t.shutdown(ctx) }
