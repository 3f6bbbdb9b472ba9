package live

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// bounds are the upper bounds of the buckets. One more bucket has no bound.
var bounds = [...]time.Duration{
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	75 * time.Millisecond, 100 * time.Millisecond, 150 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 10 * time.Second,
}

// tally counts messages and their delivery times for one goroutine. A shared histogram would cost as much as all
// other work for a message, except the write.
type tally struct {
	messages uint64
	gaps     uint64 // messages that report a gap
	sum      time.Duration
	buckets  [len(bounds) + 1]uint64
}

// add counts messages that were just written.
func (t *tally) add(results ...*result) {
	now := time.Now()
	for _, r := range results {
		duration := now.Sub(r.at)
		t.messages++
		if r.gap {
			t.gaps++
		}
		t.sum += duration
		i := 0
		for i < len(bounds) && duration > bounds[i] {
			i++
		}
		t.buckets[i]++
	}
}

// deliveryHistogram is a Prometheus histogram of delivery times: the sum of tallies.
type deliveryHistogram struct {
	desc *prometheus.Desc
	mu   sync.Mutex
	sum  tally
}

func newDeliveryHistogram(name, help string) *deliveryHistogram {
	return &deliveryHistogram{desc: prometheus.NewDesc(name, help, nil, nil)}
}

func (h *deliveryHistogram) add(t *tally) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sum.messages += t.messages
	h.sum.sum += t.sum
	for i, n := range t.buckets {
		h.sum.buckets[i] += n
	}
}

// Describe implements prometheus.Collector.
func (h *deliveryHistogram) Describe(to chan<- *prometheus.Desc) { to <- h.desc }

// Collect implements prometheus.Collector.
func (h *deliveryHistogram) Collect(to chan<- prometheus.Metric) {
	h.mu.Lock()
	total := h.sum
	h.mu.Unlock()
	buckets, below := make(map[float64]uint64, len(bounds)), uint64(0)
	for i, bound := range bounds {
		below += total.buckets[i]
		buckets[bound.Seconds()] = below
	}
	to <- prometheus.MustNewConstHistogram(h.desc, total.messages, total.sum.Seconds(), buckets)
}
