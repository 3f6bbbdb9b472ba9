package guard

import (
	"slices"
	"sync"
	"time"
)

// Late is what takes a quarter longer than nineteen in twenty of the latest calls: many services take
// the same time always.
const (
	latest     = 128
	enough     = 32                   // calls before anything is late
	recount    = 16                   // calls between looks
	leastLate  = 2 * time.Millisecond // nothing is late before
	percentile = 95
)

// latency knows how long the latest calls took that were answered.
type latency struct {
	mu    sync.Mutex
	took  [latest]time.Duration
	count int
	p95   time.Duration
}

func (l *latency) note(took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.took[l.count%latest] = took
	l.count++
	if l.count%recount == 0 && l.count >= enough {
		sorted := l.took
		known := sorted[:min(l.count, latest)]
		slices.Sort(known)
		l.p95 = known[len(known)*percentile/100]
	}
}

// late is the 95th percentile; 0 while too few calls are known.
func (l *latency) late() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.p95
}

// latencies are those of methods.
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
