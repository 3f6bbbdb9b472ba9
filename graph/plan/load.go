package plan

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
)

// Batch loads many keys in one call. It returns one value and one error per key, in order; nil errors if no key
// failed. It must be safe for concurrent use.
type Batch[K comparable, V any] func(ctx context.Context, keys []K) ([]V, []error)

// Loader is a batch function that fields share. The keys of one level for one Loader are coalesced into one batch.
type Loader[K comparable, V any] struct {
	name     string
	maxBatch int
	batch    Batch[K, V]
}

// NewLoader returns a loader. The name is for traces. A batch of more than maxBatch keys is split; 0 means no limit.
func NewLoader[K comparable, V any](name string, maxBatch int, batch func(context.Context, []K) ([]V, []error)) *Loader[K, V] {
	return &Loader[K, V]{name: name, maxBatch: maxBatch, batch: batch}
}

// loadOne loads a single key, for gqlgen's executor. Panics and malformed results become errors.
func (l *Loader[K, V]) loadOne(ctx context.Context, key K) (V, error) {
	single := &load[K, V]{loader: l, at: map[K]int32{}}
	at := single.enqueue(key)
	single.fetch(ctx)
	return single.get(at)
}

type anyLoader interface {
	newLoad() anyLoad
}

func (l *Loader[K, V]) newLoad() anyLoad { return &load[K, V]{loader: l, at: map[K]int32{}} }

// anyLoad is the batch of one loader at one level in one run.
type anyLoad interface {
	empty() bool
	size() int
	name() string
	fetch(ctx context.Context)
	// isIncomplete reports whether the load waits for entries that batches of earlier levels fetch.
	isIncomplete() bool
	finish() // after fetch, in the goroutine that owns the run
	reset()
	follow(earlier anyLoad)
}

// entry is the result of one key.
type entry[V any] struct {
	value V
	err   error
}

type load[K comparable, V any] struct {
	loader   *Loader[K, V]
	earlier  []*load[K, V] // of the same loader at earlier levels; read when they are done
	at       map[K]int32   // the index of a key's entry
	entries  []entry[V]
	keys     []K     // the queued keys
	targets  []int32 // their entries
	borrowed []borrowed[K, V]
	done     bool
}

// borrowed is an entry that the batch of an earlier level has fetched or will fetch.
type borrowed[K comparable, V any] struct {
	at, there int32
	from      *load[K, V]
}

// enqueue adds a key to the batch and returns the index of its entry. Keys are deduplicated, also against batches of
// earlier levels.
func (l *load[K, V]) enqueue(key K) int32 {
	if at, known := l.at[key]; known {
		return at
	}
	at := int32(len(l.entries))
	l.at[key] = at
	l.entries = append(l.entries, entry[V]{})
	for _, earlier := range l.earlier {
		if there, known := earlier.at[key]; known {
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

func (l *load[K, V]) isIncomplete() bool {
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

// fetch loads the keys, in as many batch calls as the loader's limit requires.
func (l *load[K, V]) fetch(ctx context.Context) {
	size := l.loader.maxBatch
	if size <= 0 || len(l.keys) <= size {
		l.fetchBatch(ctx, l.keys, l.targets)
		return
	}
	var calls sync.WaitGroup
	for from := 0; from < len(l.keys); from += size {
		to := min(from+size, len(l.keys))
		calls.Go(func() { l.fetchBatch(ctx, l.keys[from:to:to], l.targets[from:to]) })
	}
	calls.Wait()
}

// fetchBatch makes one batch call. A panic, or a result of the wrong length, is an error of every key.
func (l *load[K, V]) fetchBatch(ctx context.Context, keys []K, targets []int32) {
	failAll := func(err error) {
		for _, at := range targets {
			l.entries[at] = entry[V]{err: err}
		}
	}
	defer func() {
		if p := recover(); p != nil {
			failAll(fmt.Errorf("panic in a loader: %v\n%s", p, debug.Stack()))
		}
	}()
	values, errs := l.loader.batch(ctx, keys)
	if len(values) != len(keys) || (errs != nil && len(errs) != len(keys)) {
		failAll(fmt.Errorf("a loader got %d values and %d errors for %d keys", len(values), len(errs), len(keys)))
		return
	}
	for i, at := range targets {
		l.entries[at].value = values[i]
		if errs != nil {
			l.entries[at].err = errs[i]
		}
	}
}

// reset clears the request's state. The slice of keys is not reused: a batch function may retain it.
func (l *load[K, V]) reset() {
	clear(l.at)
	clear(l.entries)
	clear(l.borrowed)
	l.entries, l.keys, l.targets, l.borrowed, l.done = l.entries[:0], nil, l.targets[:0], l.borrowed[:0], false
}
