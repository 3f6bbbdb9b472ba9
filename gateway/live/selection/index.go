// Package selection indexes the selections of subscriptions, so that the cost of an event grows with the selections
// that contain it, not with all. bff/entity compiles selections.
package selection

import (
	"github.com/sluicehq/sluice/bff"
	bffentity "github.com/sluicehq/sluice/bff/entity"
	"github.com/sluicehq/sluice/internal/entity"
)

// Index finds the subscribers whose selection contains an event. It is not safe for concurrent use.
type Index[S comparable] struct {
	byKind map[entity.Kind]*kindIndex[S]
}

type kindIndex[S comparable] struct {
	every map[S]*bffentity.Selection // selections that no key narrows
	byKey map[bffentity.Key]map[S]*bffentity.Selection
}

// NewIndex returns an index without subscribers.
func NewIndex[S comparable]() *Index[S] { return &Index[S]{byKind: map[entity.Kind]*kindIndex[S]{}} }

// Add adds a subscriber with its selection.
func (x *Index[S]) Add(s *bffentity.Selection, subscriber S) {
	kind := x.byKind[s.Kind]
	if kind == nil {
		kind = &kindIndex[S]{every: map[S]*bffentity.Selection{}, byKey: map[bffentity.Key]map[S]*bffentity.Selection{}}
		x.byKind[s.Kind] = kind
	}
	if s.Keys == nil {
		kind.every[subscriber] = s
	}
	for _, k := range s.Keys {
		if kind.byKey[k] == nil {
			kind.byKey[k] = map[S]*bffentity.Selection{}
		}
		kind.byKey[k][subscriber] = s
	}
}

// Remove removes a subscriber that was added with this selection.
func (x *Index[S]) Remove(s *bffentity.Selection, subscriber S) {
	kind := x.byKind[s.Kind]
	delete(kind.every, subscriber)
	for _, k := range s.Keys {
		delete(kind.byKey[k], subscriber)
		if len(kind.byKey[k]) == 0 {
			delete(kind.byKey, k)
		}
	}
}

// Each calls yield once for every subscriber whose selection contains the event: all keys of a selection are of one
// property, and an event has one matching value of it.
func (x *Index[S]) Each(e *bff.Event, yield func(S)) {
	kind := x.byKind[e.Entity]
	if kind == nil || e.Node == nil {
		return
	}
	for subscriber, s := range kind.every {
		if s.Contains(e) {
			yield(subscriber)
		}
	}
	if len(kind.byKey) == 0 {
		return
	}
	for _, k := range bffentity.KeysOf(e) {
		for subscriber, s := range kind.byKey[k] {
			if s.Contains(e) {
				yield(subscriber)
			}
		}
	}
}

// All calls yield once for every subscriber.
func (x *Index[S]) All(yield func(S)) {
	for _, kind := range x.byKind {
		seen := map[S]struct{}{}
		for subscriber := range kind.every {
			yield(subscriber)
		}
		for _, subscribers := range kind.byKey {
			for subscriber := range subscribers {
				if _, found := seen[subscriber]; !found {
					seen[subscriber] = struct{}{}
					yield(subscriber)
				}
			}
		}
	}
}
