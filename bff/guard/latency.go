package guard

import (
	"slices"
	"sync"
	"time"
)

// A call is late when it takes a quarter longer than the 95th percentile of the latest calls: many services always take
// about the same time.
const (
	sampleSize    = 128                  // latest calls of which the latency is known
	minSamples    = 32                   // calls before any call is late
	recomputeRate = 16                   // calls between two computations
	minHedgeDelay = 2 * time.Millisecond // a hedge is not sent earlier
	percentile    = 95
)

// latency holds the latencies of the latest successful calls in a ring buffer.
type latency struct {
	mu      sync.Mutex
	samples [sampleSize]time.Duration
	count   int
	p95     time.Duration
}

func (l *latency) observe(took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.samples[l.count%sampleSize] = took
	l.count++
	if l.count%recomputeRate == 0 && l.count >= minSamples {
		sorted := l.samples
		known := sorted[:min(l.count, sampleSize)]
		slices.Sort(known)
		l.p95 = known[len(known)*percentile/100]
	}
}

// late returns the 95th percentile; 0 while there are too few samples.
func (l *latency) late() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.p95
}

// latencies holds one latency for each method.
type latencies struct {
	mu       sync.Mutex
	byMethod map[string]*latency
}

func (l *latencies) of(method string) *latency {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := l.byMethod[method]
	if found == nil {
		found = &latency{}
		l.byMethod[method] = found
	}
	return found
}
