package cache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"reflect"
	"sync"
	"time"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/caller"
)

// read is one method of a port whose answers are kept: for many ids at once, each with its own answer.
type read[V any] struct {
	cache *Cache
	row   row
	codec *codec
	start string // of the keys
	uses  uses
	own   bool                  // the answers are each kept under the tag of their id, not under that of the kind
	keep  func(V) time.Duration // for how long; nil for what the row says

	mu      sync.Mutex
	flights map[flightKey]*flight[V]
}

// fetch asks the service: what it leaves out is not there.
type fetch[V any] func(ctx context.Context, ids []string) (map[string]V, error)

func newRead[V any](c *Cache, method string, own bool, keep func(V) time.Duration) *read[V] {
	codec, err := newCodec(reflect.TypeFor[V]())
	if err != nil {
		panic(err) // a view that cannot be kept, which a test sees
	}
	return &read[V]{
		cache: c, row: c.rows[method], codec: codec, start: method + " " + codec.fingerprint + " ", uses: c.metrics.uses(method),
		own: own, keep: keep, flights: map[flightKey]*flight[V]{},
	}
}

// maxID bounds the ids that are looked for, in bytes.
const maxID = 100

// lookup is one read on its way: of each id the version of its tag, and what was found.
type lookup[V any] struct {
	start   string // of the keys
	private bool   // nobody else sees the same
	ids     []string
	all     version   // of everything
	kind    version   // of the kind
	own     []version // of the ids; nil when they are under the tag of the kind
	found   map[string]V
	missing []int
	again   bool // private, and asked for again: to be kept for all gateways
	use     bff.CacheUse
}

// stamp is that of what there is under an id, and nothing that of what there is not.
func (l *lookup[V]) stamp(i int) stamp {
	if l.own == nil {
		return l.nothing()
	}
	return stamp{l.all, l.own[i]}
}

func (l *lookup[V]) nothing() stamp { return stamp{l.all, l.kind} }

// get gives what there is of the ids. The args are all else that the answer depends on.
func (r *read[V]) get(ctx context.Context, args string, ids []string, ask fetch[V]) (map[string]V, error) {
	reads := bff.ReadsOf(ctx)
	who := caller.FromContext(ctx)
	right, known := r.row.sight.rightOf(who)
	if !known || !who.Has(r.row.scope) || r.cache.closed.Load() || len(ids) == 0 || tooLong(ids) {
		reads.Note(r.row.method, r.row.of, bff.CacheUse{Bypassed: len(ids)})
		return ask(ctx, ids)
	}
	l, err := r.look(right, args, ids)
	if err != nil {
		use := bff.CacheUse{Bypassed: len(ids)}
		r.uses.count(use)
		reads.Note(r.row.method, r.row.of, use)
		return ask(ctx, ids)
	}
	flights := r.join(ctx, l, ask)
	r.uses.count(l.use)
	reads.Note(r.row.method, r.row.of, l.use)
	for i, f := range flights {
		select {
		case <-f.of.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if f.of.err != nil {
			return nil, f.of.err
		}
		if f.there {
			l.found[ids[l.missing[i]]] = f.value
		}
	}
	return l.found, nil
}

func tooLong(ids []string) bool {
	for _, id := range ids {
		if len(id) > maxID {
			return true
		}
	}
	return false
}

// look finds what is kept, in one question to Redis for all ids.
func (r *read[V]) look(right, args string, ids []string) (*lookup[V], error) {
	l := &lookup[V]{start: r.start + right + " " + args + " ", private: private(right), ids: ids, found: make(map[string]V, len(ids))}
	began := time.Now()
	entries := make([]*entry, len(ids))
	r.cache.kept(l.start, l.private, ids, entries)
	r.cache.metrics.memory.Observe(time.Since(began).Seconds())
	wanted := r.wanted(l, entries)
	versions, values, err := r.cache.versions.look(r.tags(ids), wanted)
	if err != nil {
		return nil, err
	}
	l.all, l.kind = versions[0], versions[1]
	if r.own {
		l.own = versions[2:]
	}
	var fromRedis []item
	shared := r.decodeAll(l, entries, wanted, values)
	for i, e := range entries {
		if e == nil {
			e = shared[i]
		}
		if r.weigh(l, i, e, entries[i] == nil) && entries[i] == nil {
			e.told.Store(true)
			fromRedis = append(fromRedis, item{ids[i], e})
		}
	}
	r.cache.keep(l.start, l.private, fromRedis)
	r.tell(l)
	return l, nil
}

// wanted are the keys in Redis of what is not in memory: one for all that is private.
func (r *read[V]) wanted(l *lookup[V], entries []*entry) (keys []string) {
	if r.cache.alone {
		return nil
	}
	for i, id := range l.ids {
		switch {
		case entries[i] != nil:
		case l.private:
			return []string{l.start}
		default:
			keys = append(keys, l.start+id)
		}
	}
	return keys
}

// decodeAll reads what Redis has of the ids that were wanted.
func (r *read[V]) decodeAll(l *lookup[V], entries []*entry, keys []string, values [][]byte) []*entry {
	shared := make([]*entry, len(entries))
	if len(keys) == 0 || len(values) == 0 {
		return shared
	}
	var packed map[string][]byte
	if l.private {
		packed = r.unpack(l.start, values[0])
	}
	next := 0
	for i, e := range entries {
		switch {
		case e != nil:
		case l.private:
			shared[i] = r.decode(l.start, packed[l.ids[i]])
		default:
			shared[i] = r.decode(keys[next], values[next])
			next++
		}
	}
	return shared
}

// tell keeps for all gateways what is asked for again of what is private, as one value: next to nothing
// that is asked for once is asked for by way of another gateway.
func (r *read[V]) tell(l *lookup[V]) {
	if !l.again {
		return
	}
	now := r.cache.options.Clock.Now()
	var packed []byte
	life := time.Duration(0)
	for _, i := range r.cache.onShelf(l.start) {
		if left := i.entry.until.Sub(now); left > 0 {
			value, _ := i.entry.value.(V)
			packed = pack(packed, i.id, r.encode(i.entry, value))
			life = max(life, left)
			i.entry.told.Store(true)
		}
	}
	if len(packed) > 0 && len(packed) <= r.cache.options.Largest {
		r.cache.versions.put([]kept{{key: l.start, value: packed, life: life}})
	}
}

func (r *read[V]) tags(ids []string) []string {
	tags := make([]string, 0, 2+len(ids))
	tags = append(tags, everything, string(r.row.of))
	if r.own {
		for _, id := range ids {
			tags = append(tags, entityTag(r.row.of, id))
		}
	}
	return tags
}

func entityTag(of bff.Entity, id string) string { return string(of) + " " + id }

// weigh takes what was found, if it is good, or notes what is missing.
func (r *read[V]) weigh(l *lookup[V], i int, e *entry, fromRedis bool) (taken bool) {
	left := time.Duration(0)
	if e != nil {
		left = e.until.Sub(r.cache.options.Clock.Now())
	}
	switch {
	case left <= 0:
		l.use.Missed++
		l.missing = append(l.missing, i)
		return false
	case !r.good(l, i, e):
		l.use.Stale++
		l.missing = append(l.missing, i)
		return false
	}
	l.use.Bound(left)
	if fromRedis {
		l.use.Redis++
	} else {
		l.use.Memory++
		l.again = l.again || l.private && !r.cache.alone && !e.told.Load()
	}
	if value, ok := e.value.(V); ok && !e.absent {
		l.found[l.ids[i]] = value
	}
	return true
}

// good tells whether nothing has been written since the entry was read.
func (r *read[V]) good(l *lookup[V], i int, e *entry) bool {
	if r.cache.options.blind {
		return true
	}
	want := l.stamp(i)
	if e.absent {
		want = l.nothing()
	}
	return want.settled() && e.stamp == want
}

// digest is arguments as a part of a key.
func digest(c *codec, args any) string {
	sum := sha256.Sum256(c.append(nil, args))
	return hex.EncodeToString(sum[:])
}

// only is a read of one answer, which has no id.
func only[V any](ctx context.Context, r *read[V], args string, ask func(ctx context.Context) (V, bool, error)) (V, bool, error) {
	found, err := r.get(ctx, args, []string{""}, func(ctx context.Context, _ []string) (map[string]V, error) {
		value, there, err := ask(ctx)
		if err != nil || !there {
			return nil, err
		}
		return map[string]V{"": value}, nil
	})
	value, there := found[""]
	return value, there, err
}
