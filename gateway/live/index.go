package live

import "github.com/sluicehq/sluice/bff"

// index finds the groups that an event may concern, at a cost that grows with those and not with all.
// It is not safe for concurrent use.
type index struct {
	byEntity map[bff.Entity]*entityIndex
}

type entityIndex struct {
	every map[*group]struct{} // those that no property narrows
	byKey map[key]map[*group]struct{}
}

func newIndex() *index { return &index{byEntity: map[bff.Entity]*entityIndex{}} }

func (x *index) add(g *group) {
	entity := x.byEntity[g.filter.entity]
	if entity == nil {
		entity = &entityIndex{every: map[*group]struct{}{}, byKey: map[key]map[*group]struct{}{}}
		x.byEntity[g.filter.entity] = entity
	}
	if g.filter.keys == nil {
		entity.every[g] = struct{}{}
	}
	for _, k := range g.filter.keys {
		groups := entity.byKey[k]
		if groups == nil {
			groups = map[*group]struct{}{}
			entity.byKey[k] = groups
		}
		groups[g] = struct{}{}
	}
}

func (x *index) remove(g *group) {
	entity := x.byEntity[g.filter.entity]
	delete(entity.every, g)
	for _, k := range g.filter.keys {
		delete(entity.byKey[k], g)
		if len(entity.byKey[k]) == 0 {
			delete(entity.byKey, k)
		}
	}
}

// each calls yield for every group that wants the event and may see it, once each: a group stands
// under one property only, and an event has one value of it, or one that the group names.
func (x *index) each(e *event, yield func(*group)) {
	entity := x.byEntity[e.Entity]
	if entity == nil || e.Node == nil {
		return
	}
	for g := range entity.every {
		if g.wants(e) {
			yield(g)
		}
	}
	if len(entity.byKey) == 0 {
		return
	}
	for _, k := range keysOfEvent(e) {
		for g := range entity.byKey[k] {
			if g.wants(e) {
				yield(g)
			}
		}
	}
}

// all calls yield for every group.
func (x *index) all(yield func(*group)) {
	for _, entity := range x.byEntity {
		seen := map[*group]struct{}{}
		for g := range entity.every {
			yield(g)
		}
		for _, groups := range entity.byKey {
			for g := range groups {
				if _, again := seen[g]; !again {
					seen[g] = struct{}{}
					yield(g)
				}
			}
		}
	}
}
