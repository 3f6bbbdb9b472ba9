package cache

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// entry is one answer, or that there is none.
type entry struct {
	value  any
	absent bool
	stamp  stamp
	until  time.Time
	size   int
	told   atomic.Bool // all gateways have it, or are about to
}

// kept tells it from one that was left empty.
func (e *entry) kept() bool { return !e.until.IsZero() }

// overhead is about what an entry takes beside its value, in bytes.
const overhead = 300

// shelf is entries that have one place in memory: all those of one question of one caller, else a single
// one. So what nobody asks twice costs one place a question, and not one for each id that it was about.
type shelf struct {
	mu    sync.Mutex
	items []item // in the order of their ids
	size  int
}

// item is an entry on a shelf.
type item struct {
	id    string
	entry *entry
}

// roomOnAShelf is how many entries one has. When it is full, it is begun anew.
const roomOnAShelf = 1000

func (s *shelf) weight() uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return uint32(s.size)
}

func search(items []item, id string) (at int, there bool) {
	return slices.BinarySearchFunc(items, id, func(i item, id string) int { return strings.Compare(i.id, id) })
}

// find gives what there is under the ids.
func (s *shelf) find(ids []string, found []*entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, id := range ids {
		if at, there := search(s.items, id); there {
			found[i] = s.items[at].entry
		}
	}
}

// add puts items on the shelf, in place of those with the same ids.
func (s *shelf) add(items []item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.items)+len(items) > roomOnAShelf {
		s.items = nil
	}
	old := len(s.items)
	for _, new := range items {
		if at, there := search(s.items[:old], new.id); there {
			s.items[at] = new
			continue
		}
		s.items = append(s.items, new)
	}
	slices.SortStableFunc(s.items, func(a, b item) int { return strings.Compare(a.id, b.id) })
	s.items = slices.CompactFunc(s.items, func(a, b item) bool { return a.id == b.id })
	s.size = 0
	for _, i := range s.items {
		s.size += len(i.id) + i.entry.size + overhead
	}
}

// kept gives what is in memory under the ids.
func (c *Cache) kept(start string, private bool, ids []string, found []*entry) {
	if private {
		if s, ok := c.memory.GetIfPresent(start); ok {
			s.find(ids, found)
		}
		return
	}
	for i, id := range ids {
		if s, ok := c.memory.GetIfPresent(start + id); ok {
			s.find(ids[i:i+1], found[i:i+1])
		}
	}
}

// onShelf is what is in memory of what is private.
func (c *Cache) onShelf(start string) []item {
	s, ok := c.memory.GetIfPresent(start)
	if !ok {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.items)
}

// keep keeps items in memory.
func (c *Cache) keep(start string, private bool, items []item) {
	if len(items) == 0 {
		return
	}
	if !private {
		for i, one := range items {
			s := &shelf{}
			s.add(items[i : i+1])
			c.memory.Set(start+one.id, s)
		}
		return
	}
	s, ok := c.memory.GetIfPresent(start)
	if !ok {
		s = &shelf{}
	}
	s.add(items)
	c.memory.Set(start, s) // which weighs it
}
