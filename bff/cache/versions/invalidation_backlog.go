package cache

import (
	"maps"
	"sync"
)

// maxDebts is how many tags are told apart; beyond it everything is owed.
const maxDebts = 1000

// debts are tags of which Redis must be told before this gateway takes anything from the cache again.
type debts struct {
	owed chan struct{} // has a value when something was added
	mu   sync.Mutex
	tags map[string]int // how often each was owed, so that one that is owed anew while it is paid stays
}

func newDebts() *debts { return &debts{owed: make(chan struct{}, 1), tags: map[string]int{}} }

func (d *debts) owe(tags ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.tags)+len(tags) > maxDebts {
		tags = []string{everything}
		d.tags = map[string]int{everything: d.tags[everything]}
	}
	for _, tag := range tags {
		d.tags[tag]++
	}
	select {
	case d.owed <- struct{}{}:
	default:
	}
}

func (d *debts) any() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.tags) > 0
}

func (d *debts) list() map[string]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.tags)
}

// paid takes off what was paid, and tells whether nothing is left.
func (d *debts) paid(paid map[string]int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for tag, times := range paid {
		if d.tags[tag] == times {
			delete(d.tags, tag)
		}
	}
	return len(d.tags) == 0
}
