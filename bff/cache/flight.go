package cache

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/sluicehq/sluice/bff/cache/policy"
	"github.com/sluicehq/sluice/bff/cache/versions"
	"github.com/sluicehq/sluice/internal/stack"
)

// flightKey identifies equal reads: of the same id, with the same right, and after the same writes.
type flightKey struct {
	prefix, id string
	own, kind  versions.Stamp
}

// flight is one response that is being fetched, for all equal reads (single flight).
type flight[V any] struct {
	fetch  *fetch
	value  V
	exists bool
}

// fetch is one call to the service for several flights.
type fetch struct {
	done chan struct{}
	err  error
}

// leader is an id whose flight this read leads: it calls the service for all reads that join.
type leader[V any] struct {
	index    int // of the id
	flight   *flight[V]
	joinable bool // reads may join, and the value may be stored
}

func (l *lookup[V]) flightKey(i int) flightKey {
	return flightKey{l.prefix, l.ids[i], l.stamp(i), l.absentStamp()}
}

func (r *read[V]) join(ctx context.Context, l *lookup[V], call fetchFunc[V]) []*flight[V] {
	if len(l.missing) == 0 {
		return nil
	}
	flights := make([]*flight[V], len(l.missing))
	leaders := make([]leader[V], 0, len(l.missing))
	started, all := &fetch{done: make(chan struct{})}, make([]flight[V], len(l.missing))
	r.mu.Lock()
	for n, i := range l.missing {
		joinable := r.cache.options.ignoreVersions || l.stamp(i).IsStable() && l.kind.IsStable()
		if joinable {
			key := l.flightKey(i)
			if f, ok := r.flights[key]; ok {
				flights[n] = f
				l.use.Coalesced++
				continue
			}
			r.flights[key] = &all[n]
		}
		all[n].fetch = started
		flights[n] = &all[n]
		leaders = append(leaders, leader[V]{index: i, flight: flights[n], joinable: joinable})
	}
	r.mu.Unlock()
	if len(leaders) > 0 {
		r.cache.running.Go(func() { r.start(context.WithoutCancel(ctx), l, started, leaders, call) })
	}
	return flights
}

// start calls the service and finishes the flights. It continues without its caller, because others may have joined;
// the guard bounds its time.
func (r *read[V]) start(ctx context.Context, l *lookup[V], f *fetch, leaders []leader[V], call fetchFunc[V]) {
	stack.Grow()
	ids := l.ids
	if len(leaders) < len(ids) {
		ids = make([]string, len(leaders))
		for n, lead := range leaders {
			ids[n] = l.ids[lead.index]
		}
	}
	values, err := recovered(ctx, ids, call)
	now := r.cache.options.Clock.Now()
	if err == nil {
		for _, lead := range leaders {
			lead.flight.value, lead.flight.exists = values[l.ids[lead.index]]
		}
	}
	f.err = err
	entries := r.storeAll(l, leaders, f, now)
	r.finish(l, leaders, f)
	r.share(l, leaders, entries, now)
}

// recovered calls the service and converts a panic to an error.
func recovered[V any](ctx context.Context, ids []string, call fetchFunc[V]) (values map[string]V, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a call of the cache: %v\n%s", p, debug.Stack())
		}
	}()
	return call(ctx, ids)
}

// finish removes the flights and wakes the reads that joined.
func (r *read[V]) finish(l *lookup[V], leaders []leader[V], f *fetch) {
	r.mu.Lock()
	for _, lead := range leaders {
		if lead.joinable {
			delete(r.flights, l.flightKey(lead.index))
		}
	}
	r.mu.Unlock()
	close(f.done)
}

// storeAll stores the responses in memory. It returns an entry for each leader, an empty one for a response that must
// not be stored.
func (r *read[V]) storeAll(l *lookup[V], leaders []leader[V], f *fetch, now time.Time) []entry {
	if f.err != nil || r.cache.isBypassed() {
		return nil
	}
	entries, items := make([]entry, len(leaders)), make([]item, 0, len(leaders))
	for n, lead := range leaders {
		if lead.joinable && r.fill(&entries[n], l, lead, now) {
			items = append(items, item{l.ids[lead.index], &entries[n]})
		}
	}
	r.cache.store(l.prefix, l.private, items)
	return entries
}

// fill fills the entry of a response, unless the response is too large.
func (r *read[V]) fill(e *entry, l *lookup[V], lead leader[V], now time.Time) bool {
	ttl, size, stamp := r.rule.TTL, 0, l.stamp(lead.index)
	if lead.flight.exists {
		if r.ttl != nil {
			ttl = r.ttl(lead.flight.value)
		}
		size = r.codec.Size(lead.flight.value)
	} else {
		stamp, ttl = l.absentStamp(), min(ttl, policy.AbsentTTL)
	}
	if size > r.cache.options.MaxEntry {
		r.cache.metrics.countRejected(reasonTooLarge)
		return false
	}
	e.value, e.absent, e.stamp, e.size, e.expiresAt = lead.flight.value, !lead.flight.exists, stamp, size, now.Add(ttl)
	return true
}

// share writes the entries to Redis for the other gateways. Private entries follow at their second read.
func (r *read[V]) share(l *lookup[V], leaders []leader[V], entries []entry, now time.Time) {
	if r.cache.alone || l.private || len(entries) == 0 {
		return
	}
	values := make([]versions.Value, 0, len(entries))
	for n, lead := range leaders {
		if e := &entries[n]; e.isFilled() {
			values = r.appendValue(values, l.prefix+l.ids[lead.index], e, lead.flight.value, now)
		}
	}
	r.cache.versions.Put(values)
}

func (r *read[V]) appendValue(values []versions.Value, key string, e *entry, value V, now time.Time) []versions.Value {
	b := r.encode(e, value)
	if len(b) > r.cache.options.MaxEntry {
		return values
	}
	return append(values, versions.Value{Key: key, Data: b, TTL: e.expiresAt.Sub(now)})
}
