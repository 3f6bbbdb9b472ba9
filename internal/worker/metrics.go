package worker

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics count the failures of workers by name. A nil Metrics counts nothing.
type Metrics struct {
	failures *prometheus.CounterVec
	failing  *prometheus.GaugeVec
}

// NewMetrics registers the metrics of workers.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_worker_failures_total", Help: "Passes of a background worker that failed. Each one is retried after a backoff.",
		}, []string{"worker"}),
		failing: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sluice_worker_failing", Help: "1 while the last pass of a background worker failed, else 0.",
		}, []string{"worker"}),
	}
	for _, c := range []prometheus.Collector{m.failures, m.failing} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("register the metrics of workers: %w", err)
		}
	}
	return m, nil
}

func (m *Metrics) reportFailure(worker string) {
	if m == nil {
		return
	}
	m.failures.WithLabelValues(worker).Inc()
	m.failing.WithLabelValues(worker).Set(1)
}

func (m *Metrics) reportSuccess(worker string) {
	if m == nil {
		return
	}
	m.failures.WithLabelValues(worker).Add(0) // the series exists before the first failure
	m.failing.WithLabelValues(worker).Set(0)
}
