package cache

import (
	"strings"
	"testing"
)

// A bucket has one entry for each id. A full bucket is emptied.
func TestBucketAddReplacesAndBoundsItems(t *testing.T) {
	t.Parallel()
	b := &bucket{}
	first := &entry{size: 10}
	b.add([]item{{"b", first}, {"d", first}, {"d", first}})
	second := &entry{size: 20}
	b.add([]item{{"c", second}, {"a", second}, {"b", second}})
	found := make([]*entry, 5)
	b.find([]string{"a", "b", "c", "d", "e"}, found)
	for i, want := range []*entry{second, second, second, first, nil} {
		if found[i] != want {
			t.Errorf("entry %d is %v", i, found[i])
		}
	}
	if want := uint32(4 + 3*20 + 10 + 4*entryOverhead); b.weight() != want {
		t.Errorf("it weighs %d, want %d", b.weight(), want)
	}
	many := make([]item, maxBucketItems)
	for i := range many {
		many[i] = item{strings.Repeat("x", i), first}
	}
	b.add(many)
	if len(b.items) != maxBucketItems {
		t.Errorf("it has %d entries", len(b.items))
	}
}
