package cache

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"slices"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/cache/policy"
	"github.com/sluicehq/sluice/bff/cache/versions"
	"github.com/sluicehq/sluice/internal/caller"
)

// responses caches responses to whole queries, under the tags of the kinds of their entities.
type responses struct {
	cache *Cache
	read  *read[response] // its codec, counters and flights
	tags  []string        // the tag of every entry, then that of each kind
}

type response struct {
	Data   []byte
	Points int
	Kinds  int // one bit for each kind
}

var _ bff.Responses = (*responses)(nil)

// responsesMethod is the method of responses in metrics and keys.
const responsesMethod = "Responses"

// Responses returns the cache of responses to whole queries.
func (c *Cache) Responses() bff.Responses {
	r := &responses{cache: c, read: newRead[response](c, responsesMethod, false, nil), tags: []string{policy.TagAll}}
	for _, kind := range policy.Kinds() {
		r.tags = append(r.tags, string(kind))
	}
	return r
}

// Lookup implements bff.Responses.
func (r *responses) Lookup(ctx context.Context, key bff.ResponseKey) (*bff.CachedResponse, bff.ResponseFlight) {
	who := caller.FromContext(ctx)
	name, known := responseKey(key, who)
	if !known || r.cache.isBypassed() {
		return nil, nil
	}
	e, inMemory := r.find(name)
	var keys []string
	if !inMemory && !r.cache.alone {
		keys = []string{name}
	}
	found, values, err := r.cache.versions.Lookup(r.tags, keys)
	if err != nil || !found[0].IsStable() {
		r.read.counters.count(bff.CacheUse{Bypassed: 1})
		return nil, nil
	}
	if len(values) > 0 {
		e = r.read.decode(name, values[0])
	}
	if cached := r.validate(e, found); cached != nil {
		cached.Tier = r.noteHit(name, e, inMemory)
		return cached, nil
	}
	f := &responseFlight{responses: r, name: name, private: key.Private && !who.Staff(), versions: found}
	if cached := f.join(ctx); cached != nil {
		r.read.counters.count(bff.CacheUse{Coalesced: 1})
		return cached, nil
	}
	r.read.counters.count(bff.CacheUse{Missed: 1})
	return nil, f
}

func (r *responses) find(name string) (*entry, bool) {
	var found [1]*entry
	r.cache.find(name, true, []string{""}, found[:])
	return found[0], found[0] != nil
}

// noteHit counts a hit. It shares an entry in memory with the other gateways at its second read.
func (r *responses) noteHit(name string, e *entry, inMemory bool) bff.Tier {
	if inMemory {
		r.read.counters.count(bff.CacheUse{Memory: 1})
		r.share(name, e)
		return bff.TierMemory
	}
	r.read.counters.count(bff.CacheUse{Redis: 1})
	e.shared.Store(true)
	r.cache.store(name, true, []item{{"", e}})
	return bff.TierRedis
}

func (r *responses) share(name string, e *entry) {
	value, ok := e.value.(response)
	if !ok || r.cache.alone || r.cache.isBypassed() || e.shared.Swap(true) {
		return
	}
	r.cache.versions.Put(r.read.appendValue(nil, name, e, value, r.cache.options.Clock.Now()))
}

func (r *responses) validate(e *entry, found []versions.Version) *bff.CachedResponse {
	if e == nil {
		return nil
	}
	cached, ok := e.value.(response)
	left := e.expiresAt.Sub(r.cache.options.Clock.Now())
	if !ok || left <= 0 {
		return nil
	}
	current, stable := stampOf(found, cached.Kinds)
	if !r.cache.options.ignoreVersions && (!stable || e.stamp != current) {
		return nil
	}
	return &bff.CachedResponse{Data: cached.Data, Points: cached.Points, TTL: left}
}

// stampOf returns the stamp of a response with entities of several kinds. It is not stable while a write of one of
// them is in progress.
func stampOf(found []versions.Version, kinds int) (s versions.Stamp, stable bool) {
	text := make([]byte, 0, versions.Size*8)
	for i, v := range found[1:] {
		if kinds&(1<<i) == 0 {
			continue
		}
		if !v.IsStable() {
			return versions.Stamp{}, false
		}
		text = v.Append(text)
	}
	sum := sha256.Sum256(text)
	return versions.Stamp{All: found[0], Own: versions.Decode(sum[:])}, found[0].IsStable()
}

// responseKey returns the key of a response. A private response is cached for its caller alone, because it may
// contain the caller's identity.
func responseKey(key bff.ResponseKey, who caller.Caller) (name string, known bool) {
	right := "public"
	if key.Private {
		if right, known = policy.OwnRight(who); !known {
			return "", false
		}
	}
	variables := []byte("{}")
	if len(key.Variables) > 0 {
		var err error
		if variables, err = json.Marshal(key.Variables); err != nil {
			return "", false
		}
	}
	text := make([]byte, 0, 256)
	text = append(text, key.Document[:]...)
	for _, part := range []string{key.Operation, right, key.Denied, string(variables)} {
		text = append(append(text, part...), 0)
	}
	sum := sha256.Sum256(text)
	return responsesMethod + " " + string(sum[:]), true
}

// responseFlight is a running request without a cached response.
type responseFlight struct {
	*responses
	name     string
	private  bool // for its caller alone; stored in Redis at the second read
	versions []versions.Version
	leads    bool // equal requests wait for this one
	flight   flight[response]
}

// key identifies equal requests: with the same right and after the same writes.
func (f *responseFlight) key() (key flightKey, stable bool) {
	s, stable := stampOf(f.versions, 1<<len(policy.Kinds())-1)
	return flightKey{prefix: f.name, own: s}, stable
}

// maxJoins bounds the waits of a request for leaders. A leader whose client disconnects has no response to share.
const maxJoins = 3

// join waits for an equal request in progress and returns its response, or makes this request the leader. After a
// wait for a response that cannot be shared, requests execute concurrently.
func (f *responseFlight) join(ctx context.Context) *bff.CachedResponse {
	key, stable := f.key()
	if !stable {
		return nil
	}
	for range maxJoins {
		other := f.lead(key)
		if other == nil {
			return nil
		}
		select {
		case <-other.fetch.done:
		case <-ctx.Done():
			return nil
		}
		e, _ := f.find(f.name)
		if cached := f.validate(e, f.versions); cached != nil {
			cached.Tier = bff.TierCoalesced
			return cached
		}
		if other.fetch.err == nil {
			return nil
		}
	}
	return nil
}

// lead makes this request the leader, or returns the present leader.
func (f *responseFlight) lead(key flightKey) (other *flight[response]) {
	f.read.mu.Lock()
	defer f.read.mu.Unlock()
	if other, inProgress := f.read.flights[key]; inProgress {
		return other
	}
	f.flight.fetch = &fetch{done: make(chan struct{})}
	f.read.flights[key] = &f.flight
	f.leads = true
	return nil
}

// Store stores the response, which was executed after the lookup of its versions.
func (f *responseFlight) Store(reads *bff.Reads, executed bff.CachedResponse) {
	kinds, known := reads.Entities()
	if !known {
		return
	}
	value := response{Data: executed.Data, Points: executed.Points}
	for _, kind := range kinds {
		i := slices.Index(policy.Kinds(), kind)
		if i < 0 {
			return
		}
		value.Kinds |= 1 << i
	}
	s, stable := stampOf(f.versions, value.Kinds)
	if !stable {
		return
	}
	c := f.cache
	e := &entry{value: value, stamp: s, expiresAt: c.options.Clock.Now().Add(executed.TTL), size: len(value.Data)}
	if e.size > c.options.MaxEntry {
		c.metrics.countRejected(reasonTooLarge)
		return
	}
	c.store(f.name, true, []item{{"", e}})
	if !f.private {
		f.share(f.name, e)
	}
}

// Finish wakes the requests that wait for this one.
func (f *responseFlight) Finish(ctx context.Context) {
	if !f.leads {
		return
	}
	f.leads = false
	f.flight.fetch.err = ctx.Err()
	key, _ := f.key()
	f.read.mu.Lock()
	delete(f.read.flights, key)
	f.read.mu.Unlock()
	close(f.flight.fetch.done)
}
