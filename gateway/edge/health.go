package edge

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// checkTimeout bounds one check.
const checkTimeout = 2 * time.Second

// Check returns nil while a part can be used.
type Check func(context.Context) error

// Health reports whether this process should receive requests: not while it drains, or a part of its own is down. A
// shared part does not count, because all processes would be taken out of service.
type Health struct {
	draining    atomic.Bool
	own, shared map[string]Check
	explain     func() map[string]any // nil explains nothing
}

// NewHealth returns a Health over the checks by name of part.
func NewHealth(own, shared map[string]Check) *Health { return &Health{own: own, shared: shared} }

// Drain makes the process not ready from now on.
func (h *Health) Drain() { h.draining.Store(true) }

// Explain sets the details of /readyz?verbose. Call it before the server starts.
func (h *Health) Explain(explain func() map[string]any) { h.explain = explain }

func alive(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// ready responds whether the process should receive requests, and names its own parts that are down; with verbose
// also the shared ones.
func (h *Health) ready(w http.ResponseWriter, r *http.Request) {
	status, said := http.StatusServiceUnavailable, map[string]any{}
	if r.URL.Query().Has("verbose") {
		if h.explain != nil {
			maps.Copy(said, h.explain())
		}
		said["shared"] = map[string][]string{"parts": slices.Sorted(maps.Keys(h.shared)), "down": down(r.Context(), h.shared)}
	}
	if h.draining.Load() {
		said["status"] = "draining"
	} else if down := down(r.Context(), h.own); len(down) > 0 {
		said["status"], said["down"] = "not ready", down
	} else {
		status = http.StatusOK
		said["status"], said["parts"] = "ready", slices.Sorted(maps.Keys(h.own))
	}
	writeJSON(w, status, said)
}

// down returns the names of the parts whose check fails, sorted.
func down(ctx context.Context, checks map[string]Check) []string {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	down := []string{}
	for name, check := range checks {
		wg.Go(func() {
			if check(ctx) == nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			down = append(down, name)
		})
	}
	wg.Wait()
	slices.Sort(down)
	return down
}

var partUp = prometheus.NewDesc("sluice_part_up", "1 while a part of this process, or one that it shares, can be used, else 0.", []string{"part"}, nil)

// Describe implements prometheus.Collector.
func (h *Health) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- partUp }

// Collect implements prometheus.Collector. It checks all parts.
func (h *Health) Collect(metrics chan<- prometheus.Metric) {
	for _, checks := range []map[string]Check{h.own, h.shared} {
		down := down(context.Background(), checks)
		for name := range checks {
			up := 1.0
			if slices.Contains(down, name) {
				up = 0
			}
			metrics <- prometheus.MustNewConstMetric(partUp, prometheus.GaugeValue, up, name)
		}
	}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may have disconnected
}
