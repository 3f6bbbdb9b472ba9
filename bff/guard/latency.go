package guard

import (
	"slices"
	"sync"
	"time"
)

// A call is late at 1.25 times the 95th percentile of the latest calls, because many services have nearly constant
// latency.
const (
	sampleSize    = 128                  // latest measured calls
	minSamples    = 32                   // calls before any call is late
	recomputeRate = 32                   // calls between two computations
	minHedgeDelay = 2 * time.Millisecond // a hedge is not sent earlier
	latePercent   = 95
)

// latency has the latencies of the latest successful calls in a ring buffer.
type latency struct {
	mu       sync.Mutex
	samples  [sampleSize]time.Duration
	count    int
	computed int // the count at which p95 was computed
	p95      time.Duration
}

func (l *latency) observe(took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.samples[l.count%sampleSize] = took
	l.count++
}

// percentile returns the 95th percentile; 0 while there are too few samples.
func (l *latency) percentile() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.count >= minSamples && l.count >= l.computed+recomputeRate {
		sorted := l.samples
		known := sorted[:min(l.count, sampleSize)]
		slices.Sort(known)
		l.p95, l.computed = known[len(known)*latePercent/100], l.count
	}
	return l.p95
}
