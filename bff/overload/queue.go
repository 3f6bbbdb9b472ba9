package overload

import (
	"math"
	"runtime/metrics"
	"time"
)

// waits is the scheduler's histogram of the time between runnable and running.
const waits = "/sched/latencies:seconds"

// queue measures the scheduler.
type queue struct {
	sample [1]metrics.Sample
	before []uint64
}

func newQueue() *queue {
	q := &queue{sample: [1]metrics.Sample{{Name: waits}}}
	q.median()
	return q
}

func (q *queue) median() time.Duration {
	metrics.Read(q.sample[:])
	if q.sample[0].Value.Kind() != metrics.KindFloat64Histogram {
		return 0 // a runtime without this metric
	}
	histogram := q.sample[0].Value.Float64Histogram()
	total := uint64(0)
	counts := make([]uint64, len(histogram.Counts))
	for i, n := range histogram.Counts {
		counts[i] = n
		if i < len(q.before) {
			counts[i] -= q.before[i]
		}
		total += counts[i]
	}
	q.before = append(q.before[:0], histogram.Counts...)
	seen := uint64(0)
	for i, n := range counts {
		if seen += n; total > 0 && 2*seen >= total {
			return bound(histogram.Buckets, i)
		}
	}
	return 0
}

// bound is the upper end of a bucket, or its lower end without one.
func bound(buckets []float64, i int) time.Duration {
	at := buckets[i+1]
	if math.IsInf(at, 1) {
		at = buckets[i]
	}
	return time.Duration(at * float64(time.Second))
}
