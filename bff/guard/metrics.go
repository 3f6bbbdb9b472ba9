package guard

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sony/gobreaker/v2"
)

// State is how a service looks from here.
type State struct {
	Service  string
	Breaker  string // "closed", "half-open", "open"
	InFlight int
	Limit    int           // of those
	P95      time.Duration // of the latest calls that were answered; 0 while there are few
}

// State tells how the service looks.
func (c *Conn) State() State {
	return State{
		Service: c.options.Service, Breaker: c.breaker.State().String(),
		InFlight: len(c.room), Limit: cap(c.room), P95: c.all.late(),
	}
}

// Metrics count what guards do, for all services.
type Metrics struct {
	registry prometheus.Registerer
	extra    *prometheus.CounterVec // by service and why
	refused  *prometheus.CounterVec // by service and why
}

// NewMetrics registers the metrics of guards.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	m := &Metrics{
		registry: registry,
		extra: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_guard_extra_calls_total", Help: "Calls to services beyond those asked for: retries, and second reads beside late ones.",
		}, []string{"service", "why"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_guard_refused_total", Help: "Calls to services that were not made: the breaker was open, or too many were under way.",
		}, []string{"service", "why"}),
	}
	registry.MustRegister(m.extra, m.refused)
	return m
}

// watch shows the state of a service.
func (m *Metrics) watch(c *Conn) {
	gauge := func(name, help string, value func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "sluice_guard_" + name, Help: help, ConstLabels: prometheus.Labels{"service": c.options.Service},
		}, value))
	}
	gauge("breaker_state", "Whether calls to the service are made: 0 yes, 1 one in a while, 2 no.", func() float64 {
		return map[gobreaker.State]float64{gobreaker.StateHalfOpen: 1, gobreaker.StateOpen: 2}[c.breaker.State()]
	})
	gauge("calls_in_flight", "Calls to the service that are under way.", func() float64 { return float64(len(c.room)) })
	gauge("p95_seconds", "How long nineteen in twenty of the latest calls took at most.", func() float64 { return c.all.late().Seconds() })
}

func (m *Metrics) countExtra(service, why string) {
	if m != nil {
		m.extra.WithLabelValues(service, why).Inc()
	}
}

func (m *Metrics) countRefused(service, why string) {
	if m != nil {
		m.refused.WithLabelValues(service, why).Inc()
	}
}
