package plan

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
)

// Batch loads many keys at once: one value and one error a key, in the order of the keys. No error
// at all may be nil. It may be called from several goroutines.
type Batch[K comparable, V any] func(ctx context.Context, keys []K) ([]V, []error)

// Loader is a batch function that fields share: what they ask of the same Loader at one level is
// one call.
type Loader[K comparable, V any] struct {
	name  string
	most  int
	batch Batch[K, V]
}

// NewLoader gives a loader. The name is for traces; most is how many keys one call takes, more are
// split; 0 is no limit.
func NewLoader[K comparable, V any](name string, most int, batch func(context.Context, []K) ([]V, []error)) *Loader[K, V] {
	return &Loader[K, V]{name: name, most: most, batch: batch}
}

type anyLoader interface {
	newLoad() anyLoad
}

func (l *Loader[K, V]) newLoad() anyLoad { return &load[K, V]{loader: l, at: map[K]int32{}} }

// anyLoad is one loader at one level in one run.
type anyLoad interface {
	empty() bool
	size() int
	name() string
	fetch(ctx context.Context)
	// lacking says whether it waits for what loads of levels before were asked already.
	lacking() bool
	finish() // after fetch, in the goroutine that owns the run
	reset()
	follow(earlier anyLoad)
}

// entry is what a key gave.
type entry[V any] struct {
	value V
	err   error
}

type load[K comparable, V any] struct {
	loader   *Loader[K, V]
	earlier  []*load[K, V] // of the same loader at levels before; they are read when they are done
	at       map[K]int32   // where a key's entry is
	entries  []entry[V]
	keys     []K     // those to fetch
	targets  []int32 // their entries
	borrowed []borrowed[K, V]
	done     bool
}

// borrowed is an entry that a load of a level before has, or will have.
type borrowed[K comparable, V any] struct {
	at, there int32
	from      *load[K, V]
}

// ask adds a key and says where its entry will be. What the request has loaded is not asked again.
func (l *load[K, V]) ask(key K) int32 {
	if at, asked := l.at[key]; asked {
		return at
	}
	at := int32(len(l.entries))
	l.at[key] = at
	l.entries = append(l.entries, entry[V]{})
	for _, earlier := range l.earlier {
		if there, asked := earlier.at[key]; asked {
			l.borrowed = append(l.borrowed, borrowed[K, V]{at, there, earlier})
			return at
		}
	}
	l.keys = append(l.keys, key)
	l.targets = append(l.targets, at)
	return at
}

func (l *load[K, V]) get(at int32) (V, error) { return l.entries[at].value, l.entries[at].err }

func (l *load[K, V]) follow(earlier anyLoad) { l.earlier = append(l.earlier, earlier.(*load[K, V])) }

func (l *load[K, V]) empty() bool { return len(l.keys) == 0 }

func (l *load[K, V]) lacking() bool {
	return slices.ContainsFunc(l.borrowed, func(b borrowed[K, V]) bool { return !b.from.done })
}

func (l *load[K, V]) finish() {
	for _, b := range l.borrowed {
		l.entries[b.at] = b.from.entries[b.there]
	}
	l.done = true
}

func (l *load[K, V]) size() int { return len(l.keys) }

func (l *load[K, V]) name() string { return l.loader.name }

// fetch loads the keys, in as many calls as the loader's limit makes necessary.
func (l *load[K, V]) fetch(ctx context.Context) {
	most := l.loader.most
	if most <= 0 || len(l.keys) <= most {
		l.fetchSome(ctx, l.keys, l.targets)
		return
	}
	var calls sync.WaitGroup
	for from := 0; from < len(l.keys); from += most {
		to := min(from+most, len(l.keys))
		calls.Go(func() { l.fetchSome(ctx, l.keys[from:to:to], l.targets[from:to]) })
	}
	calls.Wait()
}

// fetchSome makes whatever goes wrong with a call an error on its keys: a panic, or an answer that
// does not fit.
func (l *load[K, V]) fetchSome(ctx context.Context, keys []K, targets []int32) {
	defer func() {
		if p := recover(); p != nil {
			l.failAll(targets, fmt.Errorf("panic in a loader: %v\n%s", p, debug.Stack()))
		}
	}()
	values, errs := l.loader.batch(ctx, keys)
	if len(values) != len(keys) || (errs != nil && len(errs) != len(keys)) {
		l.failAll(targets, fmt.Errorf("a loader asked for %d keys and got %d values and %d errors", len(keys), len(values), len(errs)))
		return
	}
	for i, at := range targets {
		l.entries[at].value = values[i]
		if errs != nil {
			l.entries[at].err = errs[i]
		}
	}
}

func (l *load[K, V]) failAll(targets []int32, err error) {
	for _, at := range targets {
		l.entries[at] = entry[V]{err: err}
	}
}

// reset forgets the request. Keys are handed to batch functions, which may keep them: they are
// not used again.
func (l *load[K, V]) reset() {
	clear(l.at)
	clear(l.entries)
	clear(l.borrowed)
	l.entries, l.keys, l.targets, l.borrowed, l.done = l.entries[:0], nil, l.targets[:0], l.borrowed[:0], false
}
