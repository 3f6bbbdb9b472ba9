package bff

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

// Tier is where an answer was found.
type Tier string

// The tiers.
const (
	TierMemory    Tier = "MEMORY"    // kept by this gateway
	TierRedis     Tier = "REDIS"     // kept by all gateways
	TierCoalesced Tier = "COALESCED" // being made for somebody else
)

// CacheUse counts how answers were come by.
type CacheUse struct {
	Memory    int `json:"memory,omitempty"`    // kept by this gateway
	Redis     int `json:"redis,omitempty"`     // kept by all gateways
	Coalesced int `json:"coalesced,omitempty"` // asked for by somebody else just then
	Missed    int `json:"missed,omitempty"`    // not kept
	Stale     int `json:"stale,omitempty"`     // kept, and ended since
	Bypassed  int `json:"bypassed,omitempty"`  // not looked for: not kept at all, or the cache was away

	// Life is the least that is left of those that were kept.
	Life time.Duration `json:"-"`
}

// Add adds what is counted.
func (u *CacheUse) Add(more CacheUse) {
	u.Memory += more.Memory
	u.Redis += more.Redis
	u.Coalesced += more.Coalesced
	u.Missed += more.Missed
	u.Stale += more.Stale
	u.Bypassed += more.Bypassed
	u.Bound(more.Life)
}

// Bound notes how much is left of one that was kept; 0 is of none.
func (u *CacheUse) Bound(life time.Duration) {
	if life > 0 && (u.Life == 0 || life < u.Life) {
		u.Life = life
	}
}

// CacheResult is a use in one word.
type CacheResult string

// The results.
const (
	CacheHit     CacheResult = "HIT"     // all was kept, or asked for just then
	CacheMiss    CacheResult = "MISS"    // nothing was
	CacheStale   CacheResult = "STALE"   // nothing could be used, and some of it had been ended by a write
	CachePartial CacheResult = "PARTIAL" // some was
	CacheBypass  CacheResult = "BYPASS"  // nothing was looked for
)

// Result is the use in one word.
func (u CacheUse) Result() CacheResult {
	found, asked := u.Memory+u.Redis+u.Coalesced, u.Missed+u.Stale+u.Bypassed
	switch {
	case found > 0 && asked == 0:
		return CacheHit
	case found > 0:
		return CachePartial
	case u.Stale > 0:
		return CacheStale
	case u.Missed > 0:
		return CacheMiss
	}
	return CacheBypass
}

// Tier is the farthest that what was found came from; "" when nothing was.
func (u CacheUse) Tier() Tier {
	switch {
	case u.Coalesced > 0:
		return TierCoalesced
	case u.Redis > 0:
		return TierRedis
	case u.Memory > 0:
		return TierMemory
	}
	return ""
}

// Reads notes what an operation read through the ports: what its answer is made of. It is safe for
// concurrent use; the nil Reads notes nothing.
type Reads struct {
	above *Reads   // which notes it; nil for that of the operation
	paths []string // of the fields that read this

	mu          sync.Mutex
	methods     map[string]CacheUse
	entities    map[Entity]bool
	uncacheable bool
	fields      map[string]*FieldReads // by path; nil when nobody wants to know
}

// FieldReads is what a field of the answer read.
type FieldReads struct {
	Path    string // without the places in lists: "trips.nodes.vehicle"
	Methods []string
	Use     CacheUse
}

// NewReads notes what is read by fields too.
func NewReads() *Reads { return &Reads{fields: map[string]*FieldReads{}} }

// At notes what the fields of the paths read together.
func (r *Reads) At(paths ...string) *Reads {
	if !r.ByField() {
		return r
	}
	if r.above != nil {
		r = r.above
	}
	return &Reads{above: r, paths: paths}
}

// ByField tells whether it notes what fields read.
func (r *Reads) ByField() bool { return r != nil && (r.above != nil || r.fields != nil) }

// Note notes answers to a method, which are of the entity.
func (r *Reads) Note(method string, of Entity, use CacheUse) { r.note(method, of, use, false) }

// NoteUncacheable notes an answer of which nobody can tell when it ends.
func (r *Reads) NoteUncacheable(method string) { r.note(method, "", CacheUse{Bypassed: 1}, true) }

func (r *Reads) note(method string, of Entity, use CacheUse, uncacheable bool) {
	if r == nil {
		return
	}
	paths := r.paths
	if r.above != nil {
		r = r.above
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
	r.uncacheable = r.uncacheable || uncacheable
	for _, path := range paths {
		f := r.fields[path]
		if f == nil {
			f = &FieldReads{Path: path}
			r.fields[path] = f
		}
		f.Use.Add(use)
		if !slices.Contains(f.Methods, method) {
			f.Methods = append(f.Methods, method)
		}
	}
}

// Fields are what the fields read, in the order of their paths.
func (r *Reads) Fields() []FieldReads {
	r.mu.Lock()
	defer r.mu.Unlock()
	fields := make([]FieldReads, 0, len(r.fields))
	for _, f := range r.fields {
		fields = append(fields, *f)
	}
	slices.SortFunc(fields, func(a, b FieldReads) int { return strings.Compare(a.Path, b.Path) })
	return fields
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
	return entities, !r.uncacheable
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
