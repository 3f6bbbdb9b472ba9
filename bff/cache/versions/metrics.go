package versions

import "github.com/prometheus/client_golang/prometheus"

// Values of labels.
const (
	SourceWrite = "write" // a write through this gateway
	SourceEvent = "event" // an event of a service

	reasonQueueFull = "queue_full"
	reasonRedisFull = "redis_full"

	directionRead    = "read"
	directionWritten = "written"
)

// Metrics count lookups and invalidations.
type Metrics struct {
	invalidations *prometheus.CounterVec
	dropped       *prometheus.CounterVec
	bytes         *prometheus.CounterVec
	lookups       prometheus.Histogram
}

// NewMetrics registers the metrics; a nil registry registers none.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	counter := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sluice_cache_" + name, Help: help}, []string{label})
	}
	m := &Metrics{
		invalidations: counter("invalidations_total", "Tags that got a new version.", "source"),
		dropped:       counter("redis_dropped_writes_total", "Values that were not written to Redis, by reason: queue_full, redis_full.", "reason"),
		bytes:         counter("redis_bytes_total", "Bytes of values read from Redis and written to it.", "direction"),
		lookups: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "sluice_cache_redis_lookup_duration_seconds", Help: "Duration of lookups in Redis.", Buckets: LookupBuckets(),
		}),
	}
	if registry != nil {
		registry.MustRegister(m.invalidations, m.dropped, m.bytes, m.lookups)
	}
	return m
}

// LookupBuckets returns buckets from one microsecond to a quarter of a second.
func LookupBuckets() []float64 { return prometheus.ExponentialBuckets(1e-6, 4, 10) }

// CountInvalidations counts tags that got a new version.
func (m *Metrics) CountInvalidations(source string, tags int) {
	m.invalidations.WithLabelValues(source).Add(float64(tags))
}

func (m *Metrics) countDropped(reason string) { m.dropped.WithLabelValues(reason).Inc() }

func (m *Metrics) countBytes(direction string, n int) {
	m.bytes.WithLabelValues(direction).Add(float64(n))
}
