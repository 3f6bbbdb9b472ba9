package cache

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/bff"
)

// The values of labels.
const (
	tierMemory = "memory"
	tierRedis  = "redis"

	tooLarge  = "too_large"
	corrupt   = "corrupt"
	queueFull = "queue_full"
	redisFull = "redis_full"

	byWrite = "write"
	byEvent = "event"
)

// metrics are kept whether or not anyone looks. Every label has a few known values.
type metrics struct {
	reads   *prometheus.CounterVec
	refused *prometheus.CounterVec
	endings *prometheus.CounterVec
	moved   *prometheus.CounterVec
	seconds *prometheus.HistogramVec
	memory  prometheus.Observer // of seconds
	redis   prometheus.Observer
}

func newMetrics(registry prometheus.Registerer, c *Cache) *metrics {
	by := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sluice_cache_" + name, Help: help}, labels)
	}
	m := &metrics{
		reads:   by("reads_total", "Answers that were looked for, by how they were come by: memory, redis, coalesced, missed, stale, bypassed.", "method", "outcome"),
		refused: by("not_kept_total", "Values that were not kept or not believed.", "reason"),
		endings: by("invalidations_total", "Tags that got a new version.", "by"),
		moved:   by("redis_bytes_total", "Bytes of values from and to Redis.", "direction"),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sluice_cache_seconds", Help: "How long a look into a tier took.", Buckets: prometheus.ExponentialBuckets(1e-6, 4, 10),
		}, []string{"tier"}),
	}
	m.memory, m.redis = m.seconds.WithLabelValues(tierMemory), m.seconds.WithLabelValues(tierRedis)
	if registry == nil {
		return m
	}
	registry.MustRegister(m.reads, m.refused, m.endings, m.moved, m.seconds,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "sluice_cache_memory_bytes", Help: "Size of what is kept in memory, about."},
			func() float64 { return float64(c.memory.WeightedSize()) }))
	return m
}

// uses counts how the answers of one method were come by.
type uses struct{ memory, redis, coalesced, missed, stale, bypassed prometheus.Counter }

func (m *metrics) uses(method string) uses {
	of := func(outcome string) prometheus.Counter { return m.reads.WithLabelValues(method, outcome) }
	return uses{of(tierMemory), of(tierRedis), of("coalesced"), of("missed"), of("stale"), of("bypassed")}
}

func (u uses) count(use bff.CacheUse) {
	for _, c := range [...]struct {
		counter prometheus.Counter
		n       int
	}{{u.memory, use.Memory}, {u.redis, use.Redis}, {u.coalesced, use.Coalesced}, {u.missed, use.Missed}, {u.stale, use.Stale}, {u.bypassed, use.Bypassed}} {
		if c.n > 0 {
			c.counter.Add(float64(c.n))
		}
	}
}

func (m *metrics) notKept(reason string)  { m.refused.WithLabelValues(reason).Inc() }
func (m *metrics) ended(by string, n int) { m.endings.WithLabelValues(by).Add(float64(n)) }
func (m *metrics) bytes(direction string, n int) {
	m.moved.WithLabelValues(direction).Add(float64(n))
}
