package plantest

import (
	"fmt"
	"math"
	"time"
)

func pointer[T any](v T) *T { return &v }

// maybe returns nil where the fate is Nil.
func maybe[T any](w *World, v T, place ...any) *T {
	if w.Fate(place...) == Nil {
		return nil
	}
	return &v
}

// NewThing returns the thing with an id.
func NewThing(w *World, id string) *Thing {
	t := &Thing{
		Base:    &Base{ID: id, Title: maybe(w, "title \"of\"\n"+id, id, "title")},
		World:   w,
		Name:    "thing\t" + id + "\x01é\xff",
		Count:   int(w.Roll(id) % 1000),
		Ratio:   number(w, id, "ratio"),
		Flag:    maybe(w, true, id, "flag"),
		Flags:   []bool{true, false},
		Tags:    []string{"a", "", id},
		Words:   []*string{maybe(w, "w", id, "words"), pointer("x")},
		Kind:    Kind("PLAIN"),
		Kinds:   []Kind{"PLAIN", "FANCY"},
		State:   maybe(w, StateOn, id, "state"),
		States:  []State{StateOn, StateOff},
		Level:   LevelLow,
		Levels:  []*Level{pointer(LevelHigh), maybe(w, LevelLow, id, "levels")},
		Stamp:   stamp(w, id, "stamp"),
		Stamps:  []int64{stamp(w, id, "stamps"), 5},
		Tag:     Tag{"tag"},
		RawMust: []byte(`{"raw":[1,2]}`),
		At:      maybe(w, time.Unix(1, 5).UTC(), id, "at"),
		Part:    NewPart(w, id+"p"),
		Parts:   []Part{NewPart(w, id+"q"), NewPart(w, id+"r")},
	}
	t.MaybeStamps = []*int64{pointer(t.Stamp), maybe(w, int64(9), id, "maybeStamps")}
	t.Weight = maybe(w, number(w, id, "weight"), id, "weight?")
	t.mishaps(id)
	t.relations(id)
	t.oddities(id)
	return t
}

func (t *Thing) oddities(id string) {
	w := t.World
	gauge := func(place string) float64 {
		switch w.Fate(id, place) {
		case Nil:
			return 0
		case Fail:
			return -1
		}
		return float64(w.Roll(id, place)%1000) + 0.5
	}
	t.Gauge, t.Gauges = gauge("gauge"), []float64{gauge("gauges0"), gauge("gauges1")}
	t.MaybeGauge = maybe(w, gauge("maybeGauge"), id, "maybeGauge?")
	t.PartRows = [][]Part{{NewPart(w, id+"v")}, {}}
	t.Long, t.Tiny = int64(w.Roll(id, "long")>>1), maybe(w, int8(-3), id, "tiny")
	t.Whatever, t.WhateverMust = []any{1, "two", nil, map[string]any{"three": 3.5}}, "ever"
	switch w.Fate(id, "whatever") {
	case Nil:
		t.Whatever, t.WhateverMust, t.PartRows = nil, nil, [][]Part{nil, {NewPart(w, id+"v")}}
	case Fine:
		t.Meta = map[string]any{"a": 1, "b": []string{"<", "é"}}
	}
}

func (t *Thing) mishaps(id string) {
	w := t.World
	if w.Fate(id, "base") == Panic {
		t.Title = nil
	}
	if w.Fate(id, "tag") == Fail {
		t.Tag = Tag{}
	}
	if w.Fate(id, "rawMust") == Nil {
		t.RawMust = nil
	}
	if w.Fate(id, "flags") == Nil {
		t.Flags, t.Tags, t.Kinds, t.Stamps = nil, nil, nil, nil
	}
	if w.Fate(id, "raw") == Fine {
		t.Raw = []byte("null")
	}
}

func (t *Thing) relations(id string) {
	w := t.World
	t.MaybePart = maybe(w, NewPart(w, id+"s"), id, "maybePart")
	t.PartList = []*Part{maybe(w, NewPart(w, id+"t"), id, "partList"), pointer(NewPart(w, id+"u"))}
	t.Namesake, t.NamesakeMust = named(w, id, "namesake"), named(w, id, "namesakeMust")
	for i := range w.Roll(id, "others") % 4 {
		t.Others = append(t.Others, named(w, id, "others", i))
	}
	for i := range w.Roll(id, "cells") % 3 {
		row := []*Cell{}
		for j := range w.Roll(id, "row", i) % 3 {
			row = append(row, NewCell(w, fmt.Sprint(id, i, j)))
		}
		t.Cells = append(t.Cells, row)
	}
}

func named(w *World, place ...any) Named {
	id := fmt.Sprint("p", w.Roll(append(place, "id")...)%6)
	switch w.Fate(place...) {
	case Nil:
		return nil
	case Fail:
		return (*Person)(nil)
	case Panic, Strange:
		return Stranger{}
	}
	return NewPerson(w, id)
}

func number(w *World, place ...any) float64 {
	switch w.Fate(place...) {
	case Fail:
		return math.NaN()
	case Panic:
		return math.Inf(-1)
	}
	return float64(w.Roll(place...)%1e9) / 7
}

func stamp(w *World, place ...any) int64 {
	if w.Fate(place...) == Nil {
		return 0
	}
	return int64(w.Roll(place...) % 100)
}

// NewPart returns the part with a key.
func NewPart(w *World, key string) Part {
	return Part{World: w, Key: key, Name: "part " + key, Size: maybe(w, 3, key, "size")}
}

// NewCell returns the cell with a key; nil where the fate is Nil.
func NewCell(w *World, key string) *Cell {
	if w.Fate(key, "cell") == Nil {
		return nil
	}
	part := NewPart(w, key)
	return &Cell{X: len(key), Y: maybe(w, 2, key, "y"), Part: maybe(w, part, key, "part")}
}

// NewPerson returns the person with an id.
func NewPerson(w *World, id string) *Person {
	return &Person{World: w, ID: id, Name: "person " + id, Title: maybe(w, "Dr", id, "title")}
}

// NewShapes returns shapes of every kind.
func NewShapes(w *World, place string) []Shape {
	var shapes []Shape
	for i := range w.Roll(place) % 5 {
		key := fmt.Sprint(place, i)
		switch w.Fate(key) {
		case Nil:
			shapes = append(shapes, nil)
			continue
		case Strange:
			shapes = append(shapes, Stranger{})
			continue
		case Fail:
			shapes = append(shapes, (*Circle)(nil))
			continue
		}
		switch w.Roll(key) % 3 {
		case 0:
			shapes = append(shapes, Square{World: w, Side: pointer(2), Area: 4})
		case 1:
			shapes = append(shapes, &Square{World: w, Area: number(w, key, "area")})
		default:
			shapes = append(shapes, &Circle{Radius: 1, Area: 3.14, Owner: NewPerson(w, "p1")})
		}
	}
	return shapes
}
