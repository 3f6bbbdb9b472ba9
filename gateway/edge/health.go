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
)

// checkTimeout bounds one check.
const checkTimeout = 2 * time.Second

// Health reports whether this process should receive requests: not while it drains, and not while a required part is
// down.
type Health struct {
	draining atomic.Bool
	checks   map[string]func(context.Context) error
	explain  func() map[string]any // nil explains nothing
}

// NewHealth returns a Health over the checks by name.
func NewHealth(checks map[string]func(context.Context) error) *Health {
	return &Health{checks: checks}
}

// Drain makes the process not ready from now on.
func (h *Health) Drain() { h.draining.Store(true) }

// Explain sets the details of /readyz?verbose. Call it before the server starts.
func (h *Health) Explain(explain func() map[string]any) { h.explain = explain }

func alive(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// ready responds whether the process should receive requests. It names the parts that are down, and logs their
// errors.
func (h *Health) ready(w http.ResponseWriter, r *http.Request) {
	status, said := http.StatusServiceUnavailable, map[string]any{}
	if h.explain != nil && r.URL.Query().Has("verbose") {
		maps.Copy(said, h.explain())
	}
	if h.draining.Load() {
		said["status"] = "draining"
	} else if down := h.down(r.Context()); len(down) > 0 {
		said["status"], said["down"] = "not ready", down
	} else {
		status = http.StatusOK
		said["status"], said["parts"] = "ready", slices.Sorted(maps.Keys(h.checks))
	}
	writeJSON(w, status, said)
}

func (h *Health) down(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	var down []string
	for name, check := range h.checks {
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

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may have disconnected
}
