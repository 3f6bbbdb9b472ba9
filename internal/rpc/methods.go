package rpc

import (
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Metrics count calls by service, method and code, and measure their time.
type Metrics struct {
	clientCalls *prometheus.CounterVec
	clientTime  *prometheus.HistogramVec
	serverCalls *prometheus.CounterVec
}

// NewMetrics registers the metrics.
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

// side is the metrics of clients or of servers; its fields are nil when nothing is counted.
type side struct {
	calls   *prometheus.CounterVec
	seconds *prometheus.HistogramVec // nil for servers
}

func (m *Metrics) client() side {
	if m == nil {
		return side{}
	}
	return side{m.clientCalls, m.clientTime}
}

func (m *Metrics) server() side {
	if m == nil {
		return side{}
	}
	return side{calls: m.serverCalls}
}

// methods are the called methods by their full name, because a lookup of metrics by labels costs more than the rest
// of an interceptor.
type methods struct {
	metrics   side
	separator string   // between service and method in the names of spans
	byName    sync.Map // of *method
}

// method is one method of a service.
type method struct {
	service, name, span string // "trip", "StartTrip", the name of its spans
	metrics             side
	ok                  prometheus.Counter // nil when nothing is counted
	seconds             prometheus.Observer
}

func (all *methods) of(fullMethod string) *method {
	if known, ok := all.byName.Load(fullMethod); ok {
		return known.(*method)
	}
	service, name := split(fullMethod)
	m := &method{service: service, name: name, span: service + all.separator + name, metrics: all.metrics}
	if m.metrics.calls != nil {
		m.ok = m.metrics.calls.WithLabelValues(service, name, codes.OK.String())
	}
	if m.metrics.seconds != nil {
		m.seconds = m.metrics.seconds.WithLabelValues(service)
	}
	known, _ := all.byName.LoadOrStore(fullMethod, m)
	return known.(*method)
}

// count counts a call by its outcome.
func (m *method) count(err error, started time.Time) {
	switch {
	case m.ok == nil:
		return
	case err == nil:
		m.ok.Inc()
	default:
		m.metrics.calls.WithLabelValues(m.service, m.name, status.Code(err).String()).Inc()
	}
	if m.seconds != nil {
		m.seconds.Observe(time.Since(started).Seconds())
	}
}

// split splits "/sluice.trip.v1.Trips/StartTrip" into "trip" and "StartTrip".
func split(fullMethod string) (service, method string) {
	path, method, _ := strings.Cut(strings.TrimPrefix(fullMethod, "/"), "/")
	if rest, ours := strings.CutPrefix(path, "sluice."); ours {
		if service, _, found := strings.Cut(rest, "."); found {
			return service, method
		}
	}
	return path, method
}
