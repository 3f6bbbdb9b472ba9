package guard

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sony/gobreaker/v2"
)

// State is the state of a guarded service in this gateway.
type State struct {
	Service  string
	Breaker  string // "closed", "half-open" or "open"
	InFlight int
	Limit    int           // of the calls in flight
	P95      time.Duration // the 95th percentile of the latest successful calls; 0 with too few
}

// State returns the state of the service.
func (c *Conn) State() State {
	return State{
		Service: c.options.Service, Breaker: c.state().String(),
		InFlight: c.bulkhead.inFlight(), Limit: c.options.InFlight, P95: c.latency.percentile(),
	}
}

// state returns the higher state of the two breakers: closed, half-open, open.
func (c *Conn) state() gobreaker.State { return max(c.reads.State(), c.writes.State()) }

// Metrics count the guards of all services.
type Metrics struct {
	registry prometheus.Registerer
	extra    *prometheus.CounterVec
	refused  *prometheus.CounterVec
}

// NewMetrics registers the metrics of guards.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	m := &Metrics{
		registry: registry,
		extra: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_guard_extra_calls_total", Help: "Calls to services that repeat another call, by reason: retry, hedge.",
		}, []string{"service", "reason"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_guard_refused_calls_total", Help: "Calls that were not sent to a service, by reason: open (circuit breaker), busy (no slot).",
		}, []string{"service", "reason"}),
	}
	registry.MustRegister(m.extra, m.refused)
	return m
}

func (m *Metrics) register(c *Conn) {
	gauge := func(name, help string, value func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "sluice_guard_" + name, Help: help, ConstLabels: prometheus.Labels{"service": c.options.Service},
		}, value))
	}
	gauge("breaker_state", "State of the circuit breakers of reads and of writes, the higher: 0 closed, 1 half-open, 2 open.",
		func() float64 { return float64(c.state()) })
	gauge("calls_in_flight", "Calls to the service in flight.", func() float64 { return float64(c.bulkhead.inFlight()) })
	gauge("latency_p95_seconds", "95th percentile of the latency of the latest successful calls.", func() float64 { return c.latency.percentile().Seconds() })
}

func (m *Metrics) countExtra(service, reason string) {
	if m != nil {
		m.extra.WithLabelValues(service, reason).Inc()
	}
}

func (m *Metrics) countRefused(service, reason string) {
	if m != nil {
		m.refused.WithLabelValues(service, reason).Inc()
	}
}
