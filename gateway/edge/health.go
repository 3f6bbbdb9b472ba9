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

// checkTimeout bounds one look at a part.
const checkTimeout = 2 * time.Second

// Health knows whether this process should get requests: not while it drains, and not while a part
// that it needs is down.
type Health struct {
	draining atomic.Bool
	checks   map[string]func(context.Context) error
	explain  func() map[string]any // nil tells nothing
}

// NewHealth checks the parts by name.
func NewHealth(checks map[string]func(context.Context) error) *Health {
	return &Health{checks: checks}
}

// Drain makes the process not ready from now on.
func (h *Health) Drain() { h.draining.Store(true) }

// Explain says who tells how the services and other parts look, for /readyz?verbose. It must be called
// before requests come.
func (h *Health) Explain(explain func() map[string]any) { h.explain = explain }

// alive says that the process runs.
func alive(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// ready says whether the process should get requests; what stands in the way is named, its error is for the log.
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
	_ = json.NewEncoder(w).Encode(v) // a client that went away needs no answer
}
