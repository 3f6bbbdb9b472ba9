package cache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"runtime/debug"
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
	uses  uses
	own   bool                  // the answers are each kept under the tag of their id, not under that of the kind
	keep  func(V) time.Duration // for how long; nil for what the row says

	mu      sync.Mutex
	flights map[flightKey]*flight[V]
}

// fetch asks the service: what it leaves out is not there.
type fetch[V any] func(ctx context.Context, ids []string) (map[string]V, error)

// flightKey is an equal read: of the same, for the same right to see, and after the same writes. A
// read that began after a write must not join one that began before it.
type flightKey struct {
	key      string
	own, all stamp
}

// flight is an answer that is being fetched.
type flight[V any] struct {
	done  chan struct{} // closed when the rest is there; the same for all that are fetched together
	value V
	there bool
	err   error
}

func newRead[V any](c *Cache, method string, own bool, keep func(V) time.Duration) *read[V] {
	codec, err := newCodec(reflect.TypeFor[V]())
	if err != nil {
		panic(err) // a view that cannot be kept, which a test sees
	}
	return &read[V]{cache: c, row: c.rows[method], codec: codec, uses: c.metrics.uses(method), own: own, keep: keep, flights: map[flightKey]*flight[V]{}}
}

// maxID bounds the ids that are looked for, in bytes.
const maxID = 100

// lookup is one read on its way: of each id the key, the tag's stamp, and what was found.
type lookup[V any] struct {
	ids     []string
	keys    []string
	stamps  []stamp // of the ids
	kind    stamp
	found   map[string]V
	missing []int
	use     bff.CacheUse
}

// get gives what there is of the ids. The args are all else that the answer depends on.
func (r *read[V]) get(ctx context.Context, args string, ids []string, ask fetch[V]) (map[string]V, error) {
	reads := bff.ReadsOf(ctx)
	who := caller.FromContext(ctx)
	right, known := r.row.sight.rightOf(who)
	if !known || !who.Has(r.row.scope) || r.cache.closed.Load() || len(ids) == 0 || tooLong(ids) {
		reads.Note(r.row.method, r.row.of, bff.CacheUse{Passed: len(ids)})
		return ask(ctx, ids)
	}
	l, err := r.look(ctx, right, args, ids)
	if err != nil {
		use := bff.CacheUse{Passed: len(ids)}
		r.uses.count(use)
		reads.Note(r.row.method, r.row.of, use)
		return ask(ctx, ids)
	}
	flights := r.join(ctx, l, ask)
	r.uses.count(l.use)
	reads.Note(r.row.method, r.row.of, l.use)
	for i, f := range flights {
		select {
		case <-f.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if f.err != nil {
			return nil, f.err
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
func (r *read[V]) look(ctx context.Context, right, args string, ids []string) (*lookup[V], error) {
	l := &lookup[V]{ids: ids, keys: make([]string, len(ids)), stamps: make([]stamp, len(ids)), found: make(map[string]V, len(ids))}
	start := r.row.method + " " + r.codec.fingerprint + " " + right + " " + args + " "
	began := time.Now()
	entries := make([]*entry, len(ids))
	var wanted []string
	for i, id := range ids {
		l.keys[i] = start + id
		if e, ok := r.cache.memory.GetIfPresent(l.keys[i]); ok {
			entries[i] = e
			continue
		}
		wanted = append(wanted, l.keys[i])
	}
	r.cache.metrics.took(tierMemory, began)
	versions, values, err := r.cache.versions.look(ctx, r.tags(ids), wanted)
	if err != nil {
		return nil, err
	}
	l.kind = stamp{versions[0], versions[1]}
	next := 0
	for i := range ids {
		l.stamps[i] = l.kind
		if r.own {
			l.stamps[i] = stamp{versions[0], versions[2+i]}
		}
		fromRedis := entries[i] == nil
		if fromRedis {
			entries[i] = r.decode(l.keys[i], values[next])
			next++
		}
		r.weigh(l, i, entries[i], fromRedis)
	}
	return l, nil
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
func (r *read[V]) weigh(l *lookup[V], i int, e *entry, fromRedis bool) {
	switch {
	case e == nil || !r.cache.options.Clock.Now().Before(e.until):
		l.use.Missed++
		l.missing = append(l.missing, i)
		return
	case !r.good(l, i, e):
		l.use.Stale++
		l.missing = append(l.missing, i)
		return
	}
	if fromRedis {
		l.use.Redis++
		r.cache.memory.Set(l.keys[i], e)
	} else {
		l.use.Memory++
	}
	if value, ok := e.value.(V); ok && !e.absent {
		l.found[l.ids[i]] = value
	}
}

// good tells whether nothing has been written since the entry was read.
func (r *read[V]) good(l *lookup[V], i int, e *entry) bool {
	if r.cache.options.blind {
		return true
	}
	want := l.stamps[i]
	if e.absent {
		want = l.kind
	}
	return want.settled() && e.stamp == want
}

// led is an id that this read fetches, for itself and for those who join it.
type led[V any] struct {
	at     int
	flight *flight[V]
	key    flightKey
	shared bool   // may be joined and kept
	entry  *entry // what was kept; nil for nothing
}

// join gives a flight for each missing id: one that is under way, or one that begins here.
func (r *read[V]) join(ctx context.Context, l *lookup[V], ask fetch[V]) []*flight[V] {
	if len(l.missing) == 0 {
		return nil
	}
	flights := make([]*flight[V], len(l.missing))
	var mine []led[V]
	done, places := make(chan struct{}), make([]flight[V], len(l.missing))
	r.mu.Lock()
	for n, i := range l.missing {
		key := flightKey{l.keys[i], l.stamps[i], l.kind}
		shared := r.cache.options.blind || l.stamps[i].settled() && l.kind.settled()
		if f, ok := r.flights[key]; ok && shared {
			flights[n] = f
			l.use.Joined++
			continue
		}
		f := &places[n]
		f.done = done
		if shared {
			r.flights[key] = f
		}
		flights[n] = f
		mine = append(mine, led[V]{at: i, flight: f, key: key, shared: shared})
	}
	r.mu.Unlock()
	if len(mine) > 0 {
		r.cache.running.Go(func() { r.fly(context.WithoutCancel(ctx), l, mine, ask) })
	}
	return flights
}

// fly asks the service, whoever of those who wait goes away meanwhile; the guard bounds how long.
func (r *read[V]) fly(ctx context.Context, l *lookup[V], mine []led[V], ask fetch[V]) {
	ids := make([]string, len(mine))
	for n, m := range mine {
		ids[n] = l.ids[m.at]
	}
	answers, err := askSafely(ctx, ids, ask)
	now := r.cache.options.Clock.Now()
	var stored []led[V]
	for n := range mine {
		m := &mine[n]
		m.flight.err = err
		if err == nil {
			m.flight.value, m.flight.there = answers[l.ids[m.at]]
			if m.entry = r.store(m, now); m.entry != nil {
				stored = append(stored, *m)
			}
		}
	}
	r.land(mine)
	r.share(ctx, stored, now)
}

// share keeps what was stored for all gateways, if there are others.
func (r *read[V]) share(ctx context.Context, stored []led[V], now time.Time) {
	if _, alone := r.cache.versions.(*local); alone || len(stored) == 0 {
		return
	}
	keep := make([]kept, 0, len(stored))
	for _, m := range stored {
		value := r.encode(m.entry, m.flight.value)
		if len(value) <= r.cache.options.Largest {
			keep = append(keep, kept{key: m.key.key, value: value, life: m.entry.until.Sub(now)})
		}
	}
	r.cache.versions.put(ctx, keep)
}

func (r *read[V]) land(mine []led[V]) {
	r.mu.Lock()
	for _, m := range mine {
		if m.shared {
			delete(r.flights, m.key)
		}
	}
	r.mu.Unlock()
	close(mine[0].flight.done)
}

// askSafely makes a panic an error: nobody would catch it where it is.
func askSafely[V any](ctx context.Context, ids []string, ask fetch[V]) (answers map[string]V, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic while asking for what is not kept: %v\n%s", p, debug.Stack())
		}
	}()
	return ask(ctx, ids)
}

// store keeps an answer in memory; nil when it is not kept.
func (r *read[V]) store(m *led[V], now time.Time) *entry {
	if !m.shared || r.cache.closed.Load() {
		return nil
	}
	e := &entry{value: m.flight.value, absent: !m.flight.there, stamp: m.key.own}
	life := r.row.keep
	switch {
	case e.absent:
		e.stamp, life = m.key.all, min(life, brief)
	case r.keep != nil:
		life = r.keep(m.flight.value)
	}
	e.until = now.Add(life)
	if !e.absent {
		e.size = r.codec.size(e.value)
	}
	if e.size > r.cache.options.Largest {
		r.cache.metrics.notKept(tooLarge)
		return nil
	}
	r.cache.memory.Set(m.key.key, e)
	return e
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
