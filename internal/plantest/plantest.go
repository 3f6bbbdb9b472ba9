// Package plantest has the schema of the tests of package plan: every kind of GraphQL type, and of Go type that
// gqlgen binds to it. World decides which objects fail.
package plantest

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
)

// Fate is the fault of one field of one object.
type Fate int

// The fates.
const (
	Fine Fate = iota
	Nil
	Fail
	Panic
	Strange // a value of an unexpected type
)

// World is a state of all objects: the same seed creates the same objects and faults. Mutations change it. It records
// the calls of resolvers and batch functions.
type World struct {
	Seed   uint64
	Faults uint64 // in a hundred

	mu     sync.Mutex
	writes []string
	reads  map[string]bool // since the last write
	calls  []string
}

// Write records a call that changes the world, after the reads before it.
func (w *World) Write(call string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flush()
	w.writes = append(w.writes, call)
	w.calls = append(w.calls, call)
}

// Read records a call that reads one key, and returns the number of writes before it.
func (w *World) Read(call string) (version int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.reads == nil {
		w.reads = map[string]bool{}
	}
	w.reads[call] = true
	return len(w.writes)
}

// Calls returns the writes in order, and between them the reads as a sorted set: executors may batch and order them
// differently.
func (w *World) Calls() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flush()
	return w.calls
}

func (w *World) flush() {
	w.calls = append(w.calls, slices.Sorted(maps.Keys(w.reads))...)
	clear(w.reads)
}

// Fate decides what happens at a place.
func (w *World) Fate(place ...any) Fate {
	roll := w.Roll(append(place, "fate")...)
	if roll%100 >= w.Faults {
		return Fine
	}
	return Nil + Fate(roll/100%4)
}

// Roll returns a number that depends on the seed and the place alone.
func (w *World) Roll(place ...any) uint64 {
	h := fnv.New64a()
	fmt.Fprint(h, w.Seed, place)
	return h.Sum64()
}

// Err returns the error of a place.
func (w *World) Err(place ...any) error { return fmt.Errorf("fault at %v", place) }

// Kind is a named string.
type Kind string

// Level is an enum of numbers.
type Level int

// The levels.
const (
	LevelLow  Level = 1
	LevelHigh Level = 2
)

// MarshalStamp encodes a number as a string; 0 is null.
func MarshalStamp(i int64) graphql.Marshaler {
	if i == 0 {
		return graphql.Null
	}
	return graphql.WriterFunc(func(w io.Writer) { _, _ = io.WriteString(w, `"#`+strconv.FormatInt(i, 10)+`"`) })
}

// AppendStamp appends the same encoding.
func AppendStamp(b []byte, i int64) ([]byte, bool) {
	if i == 0 {
		return b, false
	}
	return append(strconv.AppendInt(append(b, `"#`...), i, 10), '"'), true
}

// UnmarshalStamp decodes a number; it panics for 13.
func UnmarshalStamp(v any) (int64, error) {
	i, err := graphql.UnmarshalInt64(v)
	if i == 13 {
		panic("thirteen")
	}
	return i, err
}

// MarshalRaw writes bytes unchanged; no bytes are null.
func MarshalRaw(s []byte) graphql.Marshaler {
	if len(s) == 0 {
		return graphql.Null
	}
	return graphql.WriterFunc(func(w io.Writer) { _, _ = w.Write(s) })
}

// UnmarshalRaw refuses every value.
func UnmarshalRaw(any) ([]byte, error) { return nil, errors.New("no value is accepted") }

// MarshalGauge encodes a number with the context; 0 is null, and a negative number fails.
func MarshalGauge(f float64) graphql.ContextMarshaler {
	if f == 0 {
		return graphql.Null
	}
	return graphql.ContextWriterFunc(func(_ context.Context, w io.Writer) error {
		if f < 0 {
			return errors.New("a gauge below zero")
		}
		_, err := io.WriteString(w, strconv.FormatFloat(f, 'f', 2, 64))
		return err
	})
}

// UnmarshalGauge decodes a number.
func UnmarshalGauge(_ context.Context, v any) (float64, error) { return graphql.UnmarshalFloat(v) }

// Tag encodes itself; an empty one fails.
type Tag struct{ Text string }

// MarshalGQLContext encodes the tag.
func (t Tag) MarshalGQLContext(_ context.Context, w io.Writer) error {
	if t.Text == "" {
		return errors.New("an empty tag")
	}
	_, err := io.WriteString(w, strconv.Quote(t.Text))
	return err
}

// UnmarshalGQLContext refuses every value.
func (t *Tag) UnmarshalGQLContext(context.Context, any) error {
	return errors.New("no value is accepted")
}

// Node has an id.
type Node interface{ IsNode() }

// Named has a name.
type Named interface{ IsNamed() }

// Shape has an area.
type Shape interface{ IsShape() }

// Anything is a union.
type Anything interface{ IsAnything() }

// Base is embedded.
type Base struct {
	ID    string
	Title *string
}

// Thing has fields of every kind.
type Thing struct {
	*Base
	World        *World
	Name         string
	Count        int
	Ratio        float64
	Weight       *float64
	Flag         *bool
	Flags        []bool
	Tags         []string
	Words        []*string
	Kind         Kind
	Kinds        []Kind
	State        *State
	States       []State
	Level        Level
	Levels       []*Level
	Stamp        int64
	Stamps       []int64
	MaybeStamps  []*int64
	Tag          Tag
	Raw          []byte
	RawMust      []byte
	At           *time.Time
	Part         Part
	MaybePart    *Part
	Parts        []Part
	PartList     []*Part
	Namesake     Named
	NamesakeMust Named
	Others       []Named
	Cells        [][]*Cell
	PartRows     [][]Part
	Gauge        float64
	MaybeGauge   *float64
	Gauges       []float64
	Meta         map[string]any
	Whatever     any
	WhateverMust any
	Long         int64
	Tiny         *int8
}

// IsNode and the others declare the interfaces of Thing.
func (*Thing) IsNode()     {}
func (*Thing) IsNamed()    {}
func (*Thing) IsAnything() {}

// Computed is a method that may panic.
func (t *Thing) Computed() string {
	if t.World.Fate(t.ID, "computed") == Panic {
		panic("computed")
	}
	return "computed " + t.ID
}

// ComputedPart returns a new part each time.
func (t *Thing) ComputedPart() *Part {
	switch t.World.Fate(t.ID, "computedPart") {
	case Panic:
		panic("computedPart")
	case Nil:
		return nil
	}
	part := NewPart(t.World, t.ID+"c")
	return &part
}

// ComputedParts returns new parts each time.
func (t *Thing) ComputedParts() []Part {
	if t.World.Fate(t.ID, "computedParts") == Panic {
		panic("computedParts")
	}
	return []Part{NewPart(t.World, t.ID+"d"), NewPart(t.World, t.ID+"e")}
}

// Risky may return an error.
func (t *Thing) Risky() (*int, error) { return t.risk("risky") }

// RiskyMust may return an error, and nil is one.
func (t *Thing) RiskyMust() (*int, error) { return t.risk("riskyMust") }

func (t *Thing) risk(what string) (*int, error) {
	switch t.World.Fate(t.ID, what) {
	case Nil:
		return nil, nil
	case Fail:
		return nil, t.World.Err(t.ID, what)
	case Panic:
		panic(what)
	}
	one := 1
	return &one, nil
}

// Lucky may have no value.
func (t *Thing) Lucky() (int, bool) { return 7, t.World.Fate(t.ID, "lucky") == Fine }

// LuckyMust may have no value, although it is non-null.
func (t *Thing) LuckyMust() (int, bool) { return 7, t.World.Fate(t.ID, "luckyMust") == Fine }

// Repeated has an argument.
func (t *Thing) Repeated(times int) (string, error) {
	if times > 3 {
		return "", errors.New("too often")
	}
	return fmt.Sprint(t.Name, times), nil
}

// Patient has a context.
func (t *Thing) Patient(ctx context.Context) (*int, error) {
	if ctx == nil {
		return nil, errors.New("no context")
	}
	return t.risk("patient")
}

// Whole has a context and returns an object by value.
func (t *Thing) Whole(context.Context) (Part, error) {
	_, err := t.risk("whole")
	return NewPart(t.World, t.ID+"w"), err
}

// Wholes returns lists of objects by value.
func (t *Thing) Wholes(context.Context) ([][]Part, error) {
	if _, err := t.risk("wholes"); err != nil {
		return nil, err
	}
	return [][]Part{{NewPart(t.World, t.ID+"x")}, {}, {NewPart(t.World, t.ID+"y"), NewPart(t.World, t.ID+"z")}}, nil
}

// Part is stored by value.
type Part struct {
	World *World
	Key   string
	Name  string
	Size  *int
}

// Cell is an item of lists of lists.
type Cell struct {
	X    int
	Y    *int
	Part *Part
}

// Person is the target of references.
type Person struct {
	World *World
	ID    string
	Name  string
	Title *string
}

// IsNode and the others declare the interfaces of Person.
func (*Person) IsNode()     {}
func (*Person) IsNamed()    {}
func (*Person) IsAnything() {}

// Square implements its interfaces by value.
type Square struct {
	World *World
	Side  *int
	Area  float64
}

// IsShape and the others declare the interfaces of Square.
func (Square) IsShape()    {}
func (Square) IsAnything() {}

// Circle implements its interfaces by pointer.
type Circle struct {
	Radius int
	Area   float64
	Owner  *Person
}

// IsShape and the others declare the interfaces of Circle.
func (*Circle) IsShape()    {}
func (*Circle) IsAnything() {}

// Stranger implements every interface, and is not in the schema.
type Stranger struct{}

// IsNode and the others declare the interfaces of Stranger.
func (Stranger) IsNode()     {}
func (Stranger) IsNamed()    {}
func (Stranger) IsShape()    {}
func (Stranger) IsAnything() {}
