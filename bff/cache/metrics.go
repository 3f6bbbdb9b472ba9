package cache

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/cache/versions"
)

// Values of labels.
const (
	outcomeMemory = "memory"
	outcomeRedis  = "redis"

	reasonTooLarge = "too_large"
	reasonCorrupt  = "corrupt"
)

// metrics count with or without a registry.
type metrics struct {
	reads    *prometheus.CounterVec
	rejected *prometheus.CounterVec
	lookups  prometheus.Histogram // in memory
}

func newMetrics(registry prometheus.Registerer, c *Cache) *metrics {
	m := &metrics{
		reads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_cache_reads_total", Help: "Reads by outcome, each id one: memory, redis, coalesced, missed, stale, bypassed.",
		}, []string{"method", "outcome"}),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_cache_rejected_values_total", Help: "Values that were not stored or not served, by reason: too_large, corrupt.",
		}, []string{"reason"}),
		lookups: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "sluice_cache_memory_lookup_duration_seconds", Help: "Duration of lookups in memory.", Buckets: versions.LookupBuckets(),
		}),
	}
	if registry == nil {
		return m
	}
	registry.MustRegister(m.reads, m.rejected, m.lookups,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "sluice_cache_memory_bytes", Help: "Size of the entries in memory, about."},
			func() float64 { return float64(c.memory.WeightedSize()) }))
	return m
}

func (m *metrics) countRejected(reason string) { m.rejected.WithLabelValues(reason).Inc() }

// useCounters count the reads of one method by their outcome.
type useCounters struct{ memory, redis, coalesced, missed, stale, bypassed prometheus.Counter }

func (m *metrics) useCounters(method string) useCounters {
	of := func(outcome string) prometheus.Counter { return m.reads.WithLabelValues(method, outcome) }
	return useCounters{of(outcomeMemory), of(outcomeRedis), of("coalesced"), of("missed"), of("stale"), of("bypassed")}
}

func (u useCounters) count(use bff.CacheUse) {
	for _, c := range [...]struct {
		counter prometheus.Counter
		n       int
	}{{u.memory, use.Memory}, {u.redis, use.Redis}, {u.coalesced, use.Coalesced}, {u.missed, use.Missed}, {u.stale, use.Stale}, {u.bypassed, use.Bypassed}} {
		if c.n > 0 {
			c.counter.Add(float64(c.n))
		}
	}
}
