package cache

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/sluicehq/sluice/internal/stack"
)

// flightKey is an equal read: of the same, for the same right to see, and after the same writes. A
// read that began after a write must not join one that began before it.
type flightKey struct {
	start, id string
	own, kind stamp
}

// flight is an answer that is being fetched.
type flight[V any] struct {
	of    *journey
	value V
	there bool
}

// journey is what is fetched together. Flights have their answers when it is done.
type journey struct {
	done chan struct{}
	err  error
}

// led is an id that this read fetches, for itself and for those who join it.
type led[V any] struct {
	at     int // among the ids
	flight *flight[V]
	shared bool // may be joined and kept
}

func (l *lookup[V]) flightKey(i int) flightKey {
	return flightKey{l.start, l.ids[i], l.stamp(i), l.nothing()}
}

// join gives a flight for each missing id: one that is under way, or one that begins here.
func (r *read[V]) join(ctx context.Context, l *lookup[V], ask fetch[V]) []*flight[V] {
	if len(l.missing) == 0 {
		return nil
	}
	flights := make([]*flight[V], len(l.missing))
	mine := make([]led[V], 0, len(l.missing))
	here, places := &journey{done: make(chan struct{})}, make([]flight[V], len(l.missing))
	r.mu.Lock()
	for n, i := range l.missing {
		shared := r.cache.options.blind || l.stamp(i).settled() && l.kind.settled()
		if shared {
			key := l.flightKey(i)
			if f, ok := r.flights[key]; ok {
				flights[n] = f
				l.use.Coalesced++
				continue
			}
			r.flights[key] = &places[n]
		}
		places[n].of = here
		flights[n] = &places[n]
		mine = append(mine, led[V]{at: i, flight: flights[n], shared: shared})
	}
	r.mu.Unlock()
	if len(mine) > 0 {
		r.cache.running.Go(func() { r.fly(context.WithoutCancel(ctx), l, here, mine, ask) })
	}
	return flights
}

// fly asks the service, whoever of those who wait goes away meanwhile; the guard bounds how long.
func (r *read[V]) fly(ctx context.Context, l *lookup[V], here *journey, mine []led[V], ask fetch[V]) {
	stack.Grow()
	ids := l.ids
	if len(mine) < len(ids) {
		ids = make([]string, len(mine))
		for n, m := range mine {
			ids[n] = l.ids[m.at]
		}
	}
	answers, err := askSafely(ctx, ids, ask)
	now := r.cache.options.Clock.Now()
	if err == nil {
		for _, m := range mine {
			m.flight.value, m.flight.there = answers[l.ids[m.at]]
		}
	}
	here.err = err
	stored := r.store(l, mine, here, now)
	r.land(l, mine, here)
	r.share(l, mine, stored, now)
}

// share keeps what was stored for all gateways, if there are others and it is not private.
func (r *read[V]) share(l *lookup[V], mine []led[V], stored []entry, now time.Time) {
	if r.cache.alone || l.private || len(stored) == 0 {
		return
	}
	keep := make([]kept, 0, len(stored))
	for n, m := range mine {
		if e := &stored[n]; e.kept() {
			keep = r.encoded(keep, l.start+l.ids[m.at], e, m.flight.value, now)
		}
	}
	r.cache.versions.put(keep)
}

// encoded adds an entry as it stands in Redis, unless it is too large.
func (r *read[V]) encoded(to []kept, key string, e *entry, value V, now time.Time) []kept {
	b := r.encode(e, value)
	if len(b) > r.cache.options.Largest {
		return to
	}
	return append(to, kept{key: key, value: b, life: e.until.Sub(now)})
}

func (r *read[V]) land(l *lookup[V], mine []led[V], here *journey) {
	r.mu.Lock()
	for _, m := range mine {
		if m.shared {
			delete(r.flights, l.flightKey(m.at))
		}
	}
	r.mu.Unlock()
	close(here.done)
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

// store keeps answers in memory, and gives an entry for each: an empty one for what is not kept.
func (r *read[V]) store(l *lookup[V], mine []led[V], here *journey, now time.Time) []entry {
	if here.err != nil || r.cache.closed.Load() {
		return nil
	}
	entries, items := make([]entry, len(mine)), make([]item, 0, len(mine))
	for n, m := range mine {
		if m.shared && r.fill(&entries[n], l, m, now) {
			items = append(items, item{l.ids[m.at], &entries[n]})
		}
	}
	r.cache.keep(l.start, l.private, items)
	return entries
}

// fill makes the entry of an answer, unless it is not to be kept.
func (r *read[V]) fill(e *entry, l *lookup[V], m led[V], now time.Time) bool {
	life := r.row.keep
	size := 0
	stamp := l.stamp(m.at)
	switch {
	case !m.flight.there:
		stamp, life = l.nothing(), min(life, brief)
	case r.keep != nil:
		life = r.keep(m.flight.value)
		fallthrough
	default:
		size = r.codec.size(m.flight.value)
	}
	if size > r.cache.options.Largest {
		r.cache.metrics.notKept(tooLarge)
		return false
	}
	e.value, e.absent, e.stamp, e.size, e.until = m.flight.value, !m.flight.there, stamp, size, now.Add(life)
	return true
}
