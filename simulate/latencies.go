package simulate

import (
	"slices"
	"sync"
	"time"
)

// Latencies summarise durations by percentiles.
type Latencies struct {
	N                int
	Median, P99, Max time.Duration
}

type latencies struct {
	mu  sync.Mutex
	all []time.Duration
}

func (l *latencies) add(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, d)
}

func (l *latencies) summary() Latencies {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.all)
	if n == 0 {
		return Latencies{}
	}
	slices.Sort(l.all)
	return Latencies{N: n, Median: l.all[n/2], P99: l.all[n*99/100], Max: l.all[n-1]}
}
