package filter

import "github.com/sluicehq/sluice/bff"

// Index finds the subscribers whose filters select an event, at a cost that grows with those and not with all.
// It is not safe for concurrent use.
type Index[S comparable] struct {
	byEntity map[bff.Entity]*entityIndex[S]
}

type entityIndex[S comparable] struct {
	every map[S]*Filter // those that no property narrows
	byKey map[Key]map[S]*Filter
}

// NewIndex returns an index without subscribers.
func NewIndex[S comparable]() *Index[S] { return &Index[S]{byEntity: map[bff.Entity]*entityIndex[S]{}} }

// Add adds a subscriber under its filter.
func (x *Index[S]) Add(f *Filter, subscriber S) {
	entity := x.byEntity[f.entity]
	if entity == nil {
		entity = &entityIndex[S]{every: map[S]*Filter{}, byKey: map[Key]map[S]*Filter{}}
		x.byEntity[f.entity] = entity
	}
	if f.keys == nil {
		entity.every[subscriber] = f
	}
	for _, k := range f.keys {
		if entity.byKey[k] == nil {
			entity.byKey[k] = map[S]*Filter{}
		}
		entity.byKey[k][subscriber] = f
	}
}

// Remove removes a subscriber that was added under the filter.
func (x *Index[S]) Remove(f *Filter, subscriber S) {
	entity := x.byEntity[f.entity]
	delete(entity.every, subscriber)
	for _, k := range f.keys {
		delete(entity.byKey[k], subscriber)
		if len(entity.byKey[k]) == 0 {
			delete(entity.byKey, k)
		}
	}
}

// Each calls yield once for every subscriber whose filter selects the event: a subscriber is under one property only, and an
// event has one value of it, or one that the filter names.
func (x *Index[S]) Each(e *bff.Event, yield func(S)) {
	entity := x.byEntity[e.Entity]
	if entity == nil || e.Node == nil {
		return
	}
	for subscriber, f := range entity.every {
		if f.Matches(e) {
			yield(subscriber)
		}
	}
	if len(entity.byKey) == 0 {
		return
	}
	for _, k := range keysOfEvent(e) {
		for subscriber, f := range entity.byKey[k] {
			if f.Matches(e) {
				yield(subscriber)
			}
		}
	}
}

// All calls yield once for every subscriber.
func (x *Index[S]) All(yield func(S)) {
	for _, entity := range x.byEntity {
		seen := map[S]struct{}{}
		for subscriber := range entity.every {
			yield(subscriber)
		}
		for _, subscribers := range entity.byKey {
			for subscriber := range subscribers {
				if _, found := seen[subscriber]; !found {
					seen[subscriber] = struct{}{}
					yield(subscriber)
				}
			}
		}
	}
}
