package bff

import (
	"context"
	"sync"
)

// Tier is where an answer was found.
type Tier string

// The tiers.
const (
	TierMemory Tier = "MEMORY" // kept by this gateway
	TierRedis  Tier = "REDIS"  // kept by all gateways
	TierJoined Tier = "JOINED" // being made for somebody else
)

// CacheUse counts how the answers to one method of a port were come by.
type CacheUse struct {
	Memory int `json:"memory,omitempty"` // kept by this gateway
	Redis  int `json:"redis,omitempty"`  // kept by all gateways
	Joined int `json:"joined,omitempty"` // asked for by somebody else just then
	Missed int `json:"missed,omitempty"` // not kept
	Stale  int `json:"stale,omitempty"`  // kept, and ended since
	Passed int `json:"passed,omitempty"` // not looked for: not kept at all, or the cache was away
}

// Add adds what is counted.
func (u *CacheUse) Add(more CacheUse) {
	u.Memory += more.Memory
	u.Redis += more.Redis
	u.Joined += more.Joined
	u.Missed += more.Missed
	u.Stale += more.Stale
	u.Passed += more.Passed
}

// Reads notes what an operation read through the ports: what its answer is made of. It is safe for
// concurrent use; the nil Reads notes nothing.
type Reads struct {
	mu       sync.Mutex
	methods  map[string]CacheUse
	entities map[Entity]bool
	passing  bool
}

// Note notes answers to a method, which are of the entity.
func (r *Reads) Note(method string, of Entity, use CacheUse) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.methods == nil {
		r.methods, r.entities = map[string]CacheUse{}, map[Entity]bool{}
	}
	sum := r.methods[method]
	sum.Add(use)
	r.methods[method] = sum
	r.entities[of] = true
}

// NotePassing notes an answer of which nobody can tell when it ends.
func (r *Reads) NotePassing(method string) {
	r.Note(method, "", CacheUse{Passed: 1})
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.passing = true
}

// Entities are those that were read; known is false when something else was too.
func (r *Reads) Entities() (entities []Entity, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for e := range r.entities {
		if e != "" {
			entities = append(entities, e)
		}
	}
	return entities, !r.passing
}

// Methods are the counts, by method.
func (r *Reads) Methods() map[string]CacheUse {
	r.mu.Lock()
	defer r.mu.Unlock()
	methods := make(map[string]CacheUse, len(r.methods))
	for name, use := range r.methods {
		methods[name] = use
	}
	return methods
}

type readsKey struct{}

// WithReads gives a context whose reads are noted.
func WithReads(ctx context.Context, reads *Reads) context.Context {
	return context.WithValue(ctx, readsKey{}, reads)
}

// ReadsOf is what notes the reads of ctx; nil when nobody does.
func ReadsOf(ctx context.Context) *Reads {
	reads, _ := ctx.Value(readsKey{}).(*Reads)
	return reads
}
