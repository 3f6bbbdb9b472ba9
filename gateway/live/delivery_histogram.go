package live

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// bounds are the upper bounds of latencies, the last of which has none.
var bounds = [...]time.Duration{
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	75 * time.Millisecond, 100 * time.Millisecond, 150 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 10 * time.Second,
}

// tally counts messages and how long they took, for one goroutine: a histogram that many share would
// cost as much as all else that is done for a message but the writing.
type tally struct {
	messages uint64
	gaps     uint64 // of the messages
	sum      time.Duration
	buckets  [len(bounds) + 1]uint64
}

// add counts messages that have just been written.
func (t *tally) add(answers ...*answer) {
	now := time.Now()
	for _, a := range answers {
		took := now.Sub(a.at)
		t.messages++
		if a.gap {
			t.gaps++
		}
		t.sum += took
		i := 0
		for i < len(bounds) && took > bounds[i] {
			i++
		}
		t.buckets[i]++
	}
}

// latencies is a histogram that takes tallies.
type latencies struct {
	desc *prometheus.Desc
	mu   sync.Mutex
	all  tally
}

func newLatencies(name, help string) *latencies {
	return &latencies{desc: prometheus.NewDesc(name, help, nil, nil)}
}

func (l *latencies) add(t *tally) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all.messages += t.messages
	l.all.sum += t.sum
	for i, n := range t.buckets {
		l.all.buckets[i] += n
	}
}

// Describe is prometheus.Collector.
func (l *latencies) Describe(to chan<- *prometheus.Desc) { to <- l.desc }

// Collect is prometheus.Collector.
func (l *latencies) Collect(to chan<- prometheus.Metric) {
	l.mu.Lock()
	all := l.all
	l.mu.Unlock()
	buckets, below := make(map[float64]uint64, len(bounds)), uint64(0)
	for i, bound := range bounds {
		below += all.buckets[i]
		buckets[bound.Seconds()] = below
	}
	to <- prometheus.MustNewConstHistogram(l.desc, all.messages, all.sum.Seconds(), buckets)
}
