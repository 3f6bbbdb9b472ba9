package bus

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics has one label: the name of a service.
type metrics struct {
	registry prometheus.Registerer // nil exports nothing
	up       prometheus.GaugeFunc
	relayed  *prometheus.CounterVec
	lag      *prometheus.GaugeVec
}

func newMetrics(registry prometheus.Registerer, b *Bus) (*metrics, error) {
	m := &metrics{
		up: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "sluice_bus_up", Help: "1 while the broker can be used, else 0.",
		}, func() float64 {
			if b.Ready() != nil {
				return 0
			}
			return 1
		}),
		relayed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_outbox_relayed_total", Help: "Events that the broker has acknowledged.",
		}, []string{"service"}),
		lag: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sluice_outbox_lag_seconds", Help: "Age of the oldest event that was waiting when the relay last looked.",
		}, []string{"service"}),
	}
	if registry == nil {
		return m, nil
	}
	for _, c := range m.collectors() {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("register the metrics of the bus: %w", err)
		}
	}
	m.registry = registry
	return m, nil
}

func (m *metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.up, m.relayed, m.lag}
}

func (m *metrics) unregister() {
	if m == nil || m.registry == nil {
		return
	}
	for _, c := range m.collectors() {
		m.registry.Unregister(c)
	}
}

func (m *metrics) countRelayed(service string, n int) {
	m.relayed.WithLabelValues(service).Add(float64(n))
}

func (m *metrics) setLag(service string, age time.Duration) {
	m.lag.WithLabelValues(service).Set(max(age, 0).Seconds())
}
