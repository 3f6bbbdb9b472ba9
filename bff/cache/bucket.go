package cache

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicehq/sluice/bff/cache/versions"
)

// entry is one cached response, or the fact that there is none.
type entry struct {
	value     any
	absent    bool
	stamp     versions.Stamp
	expiresAt time.Time
	size      int
	shared    atomic.Bool // in Redis, or enqueued for it
}

func (e *entry) isFilled() bool { return !e.expiresAt.IsZero() }

// entryOverhead is the memory of an entry beside its value, in bytes.
const entryOverhead = 300

// bucket has the entries under one key in memory: all entries of one read of one caller if they are private, else a
// single entry. So a private read occupies one key, and not one per id.
type bucket struct {
	mu    sync.Mutex
	items []item // in the order of their ids
	size  int
}

// item is an entry in a bucket.
type item struct {
	id    string
	entry *entry
}

// maxBucketItems bounds a bucket. A full bucket is cleared.
const maxBucketItems = 1000

func (b *bucket) weight() uint32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return uint32(b.size)
}

func search(items []item, id string) (index int, found bool) {
	return slices.BinarySearchFunc(items, id, func(i item, id string) int { return strings.Compare(i.id, id) })
}

func (b *bucket) find(ids []string, entries []*entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, id := range ids {
		if index, found := search(b.items, id); found {
			entries[i] = b.items[index].entry
		}
	}
}

// add inserts or replaces items.
func (b *bucket) add(items []item) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.items)+len(items) > maxBucketItems {
		b.items = nil
	}
	before := len(b.items)
	for _, added := range items {
		if index, found := search(b.items[:before], added.id); found {
			b.items[index] = added
			continue
		}
		b.items = append(b.items, added)
	}
	slices.SortStableFunc(b.items, func(x, y item) int { return strings.Compare(x.id, y.id) })
	b.items = slices.CompactFunc(b.items, func(x, y item) bool { return x.id == y.id })
	b.size = 0
	for _, i := range b.items {
		b.size += len(i.id) + i.entry.size + entryOverhead
	}
}

func (c *Cache) find(prefix string, private bool, ids []string, entries []*entry) {
	if private {
		if b, ok := c.memory.GetIfPresent(prefix); ok {
			b.find(ids, entries)
		}
		return
	}
	for i, id := range ids {
		if b, ok := c.memory.GetIfPresent(prefix + id); ok {
			b.find(ids[i:i+1], entries[i:i+1])
		}
	}
}

func (c *Cache) privateItems(prefix string) []item {
	b, ok := c.memory.GetIfPresent(prefix)
	if !ok {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.items)
}

func (c *Cache) store(prefix string, private bool, items []item) {
	if len(items) == 0 {
		return
	}
	if !private {
		for i, single := range items {
			b := &bucket{}
			b.add(items[i : i+1])
			c.memory.Set(prefix+single.id, b)
		}
		return
	}
	b, ok := c.memory.GetIfPresent(prefix)
	if !ok {
		b = &bucket{}
	}
	b.add(items)
	c.memory.Set(prefix, b) // updates its weight
}
