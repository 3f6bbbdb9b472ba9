package cache

import (
	"context"
	"reflect"
	"sync"
	"time"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/cache/codec"
	"github.com/sluicehq/sluice/bff/cache/policy"
	"github.com/sluicehq/sluice/bff/cache/versions"
	"github.com/sluicehq/sluice/internal/caller"
)

// read is one cached method of a port: a batch read with one response per id.
type read[V any] struct {
	cache    *Cache
	rule     policy.Rule
	codec    *codec.Codec
	prefix   string // of the keys
	counters useCounters
	perID    bool                  // cached under the tag of its id, not of the kind
	ttl      func(V) time.Duration // nil for the rule's TTL

	mu      sync.Mutex
	flights map[flightKey]*flight[V]
}

// fetchFunc calls the service. An id without a value does not exist.
type fetchFunc[V any] func(ctx context.Context, ids []string) (map[string]V, error)

func newRead[V any](c *Cache, method string, perID bool, ttl func(V) time.Duration) *read[V] {
	valueCodec := codec.Must(reflect.TypeFor[V]())
	return &read[V]{
		cache: c, rule: c.rules[method], codec: valueCodec, prefix: method + " " + valueCodec.Fingerprint() + " ",
		counters: c.metrics.useCounters(method), perID: perID, ttl: ttl, flights: map[flightKey]*flight[V]{},
	}
}

// lookup is the state of one read: the version of each id's tag, and the found values.
type lookup[V any] struct {
	prefix   string // of the keys
	private  bool   // no other caller shares the entries
	ids      []string
	all      versions.Version   // of the tag of every entry
	kind     versions.Version   // of the tag of the kind
	own      []versions.Version // of the tags of the ids; nil for entries under the tag of the kind
	found    map[string]V
	missing  []int
	repeated bool // a second read of a private entry, which is worth sharing
	use      bff.CacheUse
}

// stamp returns the current stamp of an existing entity, absentStamp that of a missing one.
func (l *lookup[V]) stamp(i int) versions.Stamp {
	if l.own == nil {
		return l.absentStamp()
	}
	return versions.Stamp{All: l.all, Own: l.own[i]}
}

func (l *lookup[V]) absentStamp() versions.Stamp { return versions.Stamp{All: l.all, Own: l.kind} }

// get returns the values of the ids. args identify everything else that the response depends on.
func (r *read[V]) get(ctx context.Context, args string, ids []string, fetch fetchFunc[V]) (map[string]V, error) {
	reads := bff.ReadsOf(ctx)
	bypassed := bff.CacheUse{Bypassed: len(ids)}
	right, known := r.rule.RightOf(caller.FromContext(ctx))
	if !known || r.cache.isBypassed() || len(ids) == 0 || anyTooLong(ids) {
		reads.Note(r.rule.Name, r.rule.Kind, bypassed)
		return fetch(ctx, ids)
	}
	l, err := r.lookup(right, args, ids)
	if err != nil {
		r.counters.count(bypassed)
		reads.Note(r.rule.Name, r.rule.Kind, bypassed)
		return fetch(ctx, ids)
	}
	flights := r.join(ctx, l, fetch)
	r.counters.count(l.use)
	reads.Note(r.rule.Name, r.rule.Kind, l.use)
	for i, f := range flights {
		select {
		case <-f.fetch.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if f.fetch.err != nil {
			return nil, f.fetch.err
		}
		if f.exists {
			l.found[ids[l.missing[i]]] = f.value
		}
	}
	return l.found, nil
}

func anyTooLong(ids []string) bool {
	for _, id := range ids {
		if len(id) > policy.MaxIDBytes {
			return true
		}
	}
	return false
}

// lookup finds the current entries, with one round trip to Redis for all ids.
func (r *read[V]) lookup(right, args string, ids []string) (*lookup[V], error) {
	l := &lookup[V]{prefix: r.prefix + right + " " + args + " ", private: policy.IsPrivate(right), ids: ids, found: make(map[string]V, len(ids))}
	started := time.Now()
	entries := make([]*entry, len(ids))
	r.cache.find(l.prefix, l.private, ids, entries)
	r.cache.metrics.lookups.Observe(time.Since(started).Seconds())
	keys := r.redisKeys(l, entries)
	found, values, err := r.cache.versions.Lookup(r.tags(ids), keys)
	if err != nil {
		return nil, err
	}
	l.all, l.kind = found[0], found[1]
	if r.perID {
		l.own = found[2:]
	}
	var fromRedis []item
	decoded := r.decodeAll(l, entries, keys, values)
	for i, e := range entries {
		if e == nil {
			e = decoded[i]
		}
		if r.validate(l, i, e, entries[i] == nil) && entries[i] == nil {
			e.shared.Store(true)
			fromRedis = append(fromRedis, item{ids[i], e})
		}
	}
	r.cache.store(l.prefix, l.private, fromRedis)
	r.shareRepeated(l)
	return l, nil
}

// redisKeys returns the keys in Redis of the ids that are not in memory. All entries of a private read have one key.
func (r *read[V]) redisKeys(l *lookup[V], entries []*entry) (keys []string) {
	if r.cache.alone {
		return nil
	}
	for i, id := range l.ids {
		switch {
		case entries[i] != nil:
		case l.private:
			return []string{l.prefix}
		default:
			keys = append(keys, l.prefix+id)
		}
	}
	return keys
}

func (r *read[V]) tags(ids []string) []string {
	tags := make([]string, 0, 2+len(ids))
	tags = append(tags, policy.TagAll, string(r.rule.Kind))
	if r.perID {
		for _, id := range ids {
			tags = append(tags, policy.EntityTag(r.rule.Kind, id))
		}
	}
	return tags
}

// decodeAll decodes the values from Redis, in the order of the ids; nil without a value.
func (r *read[V]) decodeAll(l *lookup[V], entries []*entry, keys []string, values [][]byte) []*entry {
	decoded := make([]*entry, len(entries))
	if len(keys) == 0 || len(values) == 0 {
		return decoded
	}
	var page map[string][]byte
	if l.private {
		var err error
		if page, err = codec.Unpack(values[0]); err != nil {
			r.cache.reportCorrupt(l.prefix, err)
		}
	}
	next := 0
	for i, e := range entries {
		switch {
		case e != nil:
		case l.private:
			decoded[i] = r.decode(l.prefix, page[l.ids[i]])
		default:
			decoded[i] = r.decode(keys[next], values[next])
			next++
		}
	}
	return decoded
}

// decode decodes an entry from Redis; nil for a missing or corrupt one.
func (r *read[V]) decode(key string, b []byte) *entry {
	if b == nil {
		return nil
	}
	var value V
	h, err := r.codec.DecodeEntry(b, &value)
	if err != nil {
		r.cache.reportCorrupt(key, err)
		return nil
	}
	e := &entry{absent: h.Absent, size: 2 * len(b), expiresAt: h.ExpiresAt, stamp: h.Stamp}
	if !h.Absent {
		e.value = value
	}
	return e
}

func (c *Cache) reportCorrupt(key string, err error) {
	c.metrics.countRejected(reasonCorrupt)
	c.options.Logger.Warn("an entry of the cache is corrupt", "key", key, "error", err.Error())
}

func (r *read[V]) encode(e *entry, value V) []byte {
	return r.codec.EncodeEntry(codec.Header{Absent: e.absent, ExpiresAt: e.expiresAt, Stamp: e.stamp}, value)
}

// shareRepeated writes a private page to Redis at the second read of an entry, because unrepeated private reads are
// hardly ever made through another gateway.
func (r *read[V]) shareRepeated(l *lookup[V]) {
	if !l.repeated {
		return
	}
	now := r.cache.options.Clock.Now()
	var page []byte
	ttl := time.Duration(0)
	for _, i := range r.cache.privateItems(l.prefix) {
		if left := i.entry.expiresAt.Sub(now); left > 0 {
			value, _ := i.entry.value.(V)
			page = codec.Pack(page, i.id, r.encode(i.entry, value))
			ttl = max(ttl, left)
			i.entry.shared.Store(true)
		}
	}
	if len(page) > 0 && len(page) <= r.cache.options.MaxEntry {
		r.cache.versions.Put([]versions.Value{{Key: l.prefix, Data: page, TTL: ttl}})
	}
}

// validate serves a current entry and reports that; otherwise it adds the id to the missing ones.
func (r *read[V]) validate(l *lookup[V], i int, e *entry, fromRedis bool) (served bool) {
	left := time.Duration(0)
	if e != nil {
		left = e.expiresAt.Sub(r.cache.options.Clock.Now())
	}
	switch {
	case left <= 0:
		l.use.Missed++
		l.missing = append(l.missing, i)
		return false
	case !r.isCurrent(l, i, e):
		l.use.Stale++
		l.missing = append(l.missing, i)
		return false
	}
	l.use.BoundTTL(left)
	if fromRedis {
		l.use.Redis++
	} else {
		l.use.Memory++
		l.repeated = l.repeated || l.private && !r.cache.alone && !e.shared.Load()
	}
	if value, ok := e.value.(V); ok && !e.absent {
		l.found[l.ids[i]] = value
	}
	return true
}

func (r *read[V]) isCurrent(l *lookup[V], i int, e *entry) bool {
	if r.cache.options.ignoreVersions {
		return true
	}
	current := l.stamp(i)
	if e.absent {
		current = l.absentStamp()
	}
	return current.IsStable() && e.stamp == current
}
