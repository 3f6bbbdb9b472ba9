package bff

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sluicehq/sluice/internal/entity"
)

// Tier is where a response was found.
type Tier string

// The tiers.
const (
	TierMemory    Tier = "MEMORY"    // in the memory of this gateway
	TierRedis     Tier = "REDIS"     // in Redis, which all gateways share
	TierCoalesced Tier = "COALESCED" // in progress for another caller
)

// CacheUse counts reads by their outcome, one per id.
type CacheUse struct {
	Memory    int `json:"memory,omitempty"`    // hits in the memory of this gateway
	Redis     int `json:"redis,omitempty"`     // hits in Redis
	Coalesced int `json:"coalesced,omitempty"` // joined a call in progress
	Missed    int `json:"missed,omitempty"`    // without an entry
	Stale     int `json:"stale,omitempty"`     // with an invalidated entry
	Bypassed  int `json:"bypassed,omitempty"`  // without a lookup: not cacheable, or no cache available

	// TTL is the minimum remaining TTL of the hits; 0 without a hit.
	TTL time.Duration `json:"-"`
}

// Add adds the counts.
func (u *CacheUse) Add(more CacheUse) {
	u.Memory += more.Memory
	u.Redis += more.Redis
	u.Coalesced += more.Coalesced
	u.Missed += more.Missed
	u.Stale += more.Stale
	u.Bypassed += more.Bypassed
	u.BoundTTL(more.TTL)
}

// BoundTTL lowers the TTL to that of a hit; 0 has no effect.
func (u *CacheUse) BoundTTL(left time.Duration) {
	if left > 0 && (u.TTL == 0 || left < u.TTL) {
		u.TTL = left
	}
}

// CacheResult summarizes a CacheUse.
type CacheResult string

// The results.
const (
	CacheHit     CacheResult = "HIT"     // only hits, or joined calls
	CacheMiss    CacheResult = "MISS"    // no read was a hit
	CacheStale   CacheResult = "STALE"   // no hit, and at least one entry was invalidated
	CachePartial CacheResult = "PARTIAL" // some reads were hits
	CacheBypass  CacheResult = "BYPASS"  // no lookup
)

// Result returns the summary.
func (u CacheUse) Result() CacheResult {
	hits, others := u.Memory+u.Redis+u.Coalesced, u.Missed+u.Stale+u.Bypassed
	switch {
	case hits > 0 && others == 0:
		return CacheHit
	case hits > 0:
		return CachePartial
	case u.Stale > 0:
		return CacheStale
	case u.Missed > 0:
		return CacheMiss
	}
	return CacheBypass
}

// Tier returns the farthest tier of the hits; "" without a hit.
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

// Reads records the reads of an operation through the ports, which are the content of its response. It is safe for
// concurrent use; a nil Reads records nothing.
type Reads struct {
	parent *Reads   // records for it; nil for the Reads of the operation
	paths  []string // of the fields that read this

	mu          sync.Mutex
	methods     map[string]CacheUse
	entities    map[entity.Kind]bool
	uncacheable bool
	fields      map[string]*FieldReads // by path; nil without records by field
}

// FieldReads are the reads of one field of the response.
type FieldReads struct {
	Path    string // without list indexes: "trips.nodes.vehicle"
	Methods []string
	Use     CacheUse
}

// NewReads returns a Reads that also records by field.
func NewReads() *Reads { return &Reads{fields: map[string]*FieldReads{}} }

// At returns a Reads for the fields of the paths, which read together.
func (r *Reads) At(paths ...string) *Reads {
	if !r.ByField() {
		return r
	}
	if r.parent != nil {
		r = r.parent
	}
	return &Reads{parent: r, paths: paths}
}

// ByField reports whether it records by field.
func (r *Reads) ByField() bool { return r != nil && (r.parent != nil || r.fields != nil) }

// Note records reads of a method, which returns entities of the kind.
func (r *Reads) Note(method string, of entity.Kind, use CacheUse) { r.note(method, of, use, false) }

// NoteUncacheable records a read whose response no event invalidates.
func (r *Reads) NoteUncacheable(method string) { r.note(method, "", CacheUse{Bypassed: 1}, true) }

func (r *Reads) note(method string, of entity.Kind, use CacheUse, uncacheable bool) {
	if r == nil {
		return
	}
	paths := r.paths
	if r.parent != nil {
		r = r.parent
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.methods == nil {
		r.methods, r.entities = map[string]CacheUse{}, map[entity.Kind]bool{}
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

// Fields returns the records by field, in the order of their paths.
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

// Entities returns the kinds of the reads. known is false if the operation also read something uncacheable.
func (r *Reads) Entities() (entities []entity.Kind, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for e := range r.entities {
		if e != "" {
			entities = append(entities, e)
		}
	}
	return entities, !r.uncacheable
}

// Methods returns the counts by method.
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

// WithReads returns a context that records reads.
func WithReads(ctx context.Context, reads *Reads) context.Context {
	return context.WithValue(ctx, readsKey{}, reads)
}

// ReadsOf returns the Reads of ctx; nil without one.
func ReadsOf(ctx context.Context) *Reads {
	reads, _ := ctx.Value(readsKey{}).(*Reads)
	return reads
}
