package loaders

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

const (
	// quiet is how long nobody may ask for another key before a loader goes and gets what was asked
	// for; when gathering has taken long already, half of that time. It bounds a pause and not the
	// gathering as a whole: a level that has a thousand fields is one gathering as is one that has ten,
	// on a slow machine as on a fast one.
	quiet = 2 * time.Millisecond
	// patience bounds the gathering as a whole.
	patience = 500 * time.Millisecond
	// maxBatch is the most keys that services take in one call.
	maxBatch = 1000
)

// Loader gathers the keys that many ask for into batches. It asks for each key once.
type Loader[K comparable, V any] struct {
	batch Batch[K, V]

	mu        sync.Mutex
	asked     map[K]place[K, V]
	gathering *gathering[K, V] // nil when nobody has asked since the last batch left
}

// gathering is a batch that is being gathered, and later its answer.
type gathering[K comparable, V any] struct {
	keys     []K
	full     chan struct{} // closed when it has maxBatch keys
	done     chan struct{} // closed when values and failures are there
	values   []V
	failures []error
}

// place is where the answer to a key will be.
type place[K comparable, V any] struct {
	in *gathering[K, V]
	at int
}

func newLoader[K comparable, V any](batch Batch[K, V]) *Loader[K, V] {
	return &Loader[K, V]{batch: batch, asked: map[K]place[K, V]{}}
}

// Load gives the value of a key.
func (l *Loader[K, V]) Load(ctx context.Context, key K) (V, error) {
	return l.LoadThunk(ctx, key)()
}

// LoadThunk asks for a key, and gives what waits for its value: who wants several asks for all of
// them first.
func (l *Loader[K, V]) LoadThunk(ctx context.Context, key K) func() (V, error) {
	p := l.ask(ctx, key)
	return func() (value V, err error) {
		select {
		case <-p.in.done:
			return p.answer()
		case <-ctx.Done():
			return value, ctx.Err()
		}
	}
}

func (p place[K, V]) answer() (value V, err error) {
	if p.in.failures != nil {
		err = p.in.failures[p.at]
	}
	return p.in.values[p.at], err
}

func (l *Loader[K, V]) ask(ctx context.Context, key K) place[K, V] {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p, ok := l.asked[key]; ok {
		return p
	}
	g := l.gathering
	if g == nil {
		g = &gathering[K, V]{full: make(chan struct{}), done: make(chan struct{})}
		l.gathering = g
		go l.run(ctx, g)
	}
	p := place[K, V]{in: g, at: len(g.keys)}
	l.asked[key] = p
	if g.keys = append(g.keys, key); len(g.keys) == maxBatch {
		l.gathering = nil
		close(g.full)
	}
	return p
}

// run gathers until it is quiet and gets the batch; whoever asked waits for it.
func (l *Loader[K, V]) run(ctx context.Context, g *gathering[K, V]) {
	defer close(g.done)
	l.gather(g)
	g.values, g.failures = l.get(ctx, g.keys)
}

// gather returns when no key may join any more.
func (l *Loader[K, V]) gather(g *gathering[K, V]) {
	began, before := time.Now(), 0
	pause := time.NewTimer(quiet)
	defer pause.Stop()
	for {
		select {
		case <-g.full:
			return
		case <-pause.C:
		}
		runtime.Gosched() // whoever could not run meanwhile may do so first
		took := time.Since(began)
		now, ended := l.look(g, before, took > patience)
		if ended {
			return
		}
		before = now
		pause.Reset(max(quiet, took/2))
	}
}

// look ends the gathering when it has not grown, or must not wait any longer.
func (l *Loader[K, V]) look(g *gathering[K, V], before int, late bool) (now int, ended bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now = len(g.keys)
	if now < maxBatch && now > before && !late {
		return now, false
	}
	if l.gathering == g {
		l.gathering = nil
	}
	return now, true
}

// get makes a panic of the batch, and an answer that does not fit, errors of its keys: many wait.
func (l *Loader[K, V]) get(ctx context.Context, keys []K) (values []V, failures []error) {
	defer func() {
		if p := recover(); p != nil {
			values, failures = make([]V, len(keys)), all(len(keys), fmt.Errorf("panic in a loader: %v\n%s", p, debug.Stack()))
		}
	}()
	values, failures = l.batch(ctx, keys)
	if len(values) != len(keys) || (failures != nil && len(failures) != len(keys)) {
		err := fmt.Errorf("a loader asked for %d keys and got %d values and %d errors", len(keys), len(values), len(failures))
		return make([]V, len(keys)), all(len(keys), err)
	}
	return values, failures
}
