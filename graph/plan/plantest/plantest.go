// Package plantest has the schema of the tests of package plan: every kind of GraphQL type, and of Go
// type that gqlgen binds to it. Its objects fail on purpose: World decides where.
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
	Strange // a value that does not belong there
)

// World is a state of all objects: the same seed creates the same objects and the same faults. Mutations
// change it. It records the calls of resolvers and batch functions, as a service would see them.
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

// Calls returns the writes in order, and between them the reads. The reads between two writes are a sorted
// set: executors may batch them and order them differently.
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

// Kind is a named text.
type Kind string

// Level is an enum of numbers.
type Level int

// The levels.
const (
	LevelLow  Level = 1
	LevelHigh Level = 2
)

// MarshalStamp writes a number as a text; 0 is null.
func MarshalStamp(i int64) graphql.Marshaler {
	if i == 0 {
		return graphql.Null
	}
	return graphql.WriterFunc(func(w io.Writer) { _, _ = io.WriteString(w, `"#`+strconv.FormatInt(i, 10)+`"`) })
}

// AppendStamp writes the same.
func AppendStamp(b []byte, i int64) ([]byte, bool) {
	if i == 0 {
		return b, false
	}
	return append(strconv.AppendInt(append(b, `"#`...), i, 10), '"'), true
}

// UnmarshalStamp reads a number.
func UnmarshalStamp(v any) (int64, error) {
	i, err := graphql.UnmarshalInt64(v)
	if i == 13 {
		panic("thirteen")
	}
	return i, err
}

// MarshalRaw writes a text as it is; "" is null.
func MarshalRaw(s []byte) graphql.Marshaler {
	if len(s) == 0 {
		return graphql.Null
	}
	return graphql.WriterFunc(func(w io.Writer) { _, _ = w.Write(s) })
}

// UnmarshalRaw takes nothing.
func UnmarshalRaw(any) ([]byte, error) { return nil, errors.New("nothing is taken") }

// MarshalGauge writes a number with the context; 0 is null, and one below fails.
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

// UnmarshalGauge takes a number.
func UnmarshalGauge(_ context.Context, v any) (float64, error) { return graphql.UnmarshalFloat(v) }

// Tag writes itself, and may fail at it.
type Tag struct{ Text string }

// MarshalGQLContext writes the tag.
func (t Tag) MarshalGQLContext(_ context.Context, w io.Writer) error {
	if t.Text == "" {
		return errors.New("an empty tag")
	}
	_, err := io.WriteString(w, strconv.Quote(t.Text))
	return err
}

// UnmarshalGQLContext takes nothing.
func (t *Tag) UnmarshalGQLContext(context.Context, any) error { return errors.New("nothing is taken") }

// Node has an id.
type Node interface{ IsNode() }

// Named has a name.
type Named interface{ IsNamed() }

// Shape has an area.
type Shape interface{ IsShape() }

// Anything is anything.
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

// IsNode and the others say what a Thing is.
func (*Thing) IsNode()     {}
func (*Thing) IsNamed()    {}
func (*Thing) IsAnything() {}

// Computed is a method; it may panic.
func (t *Thing) Computed() string {
	if t.World.Fate(t.ID, "computed") == Panic {
		panic("computed")
	}
	return "computed " + t.ID
}

// ComputedPart gives a new part each time.
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

// ComputedParts gives new parts each time.
func (t *Thing) ComputedParts() []Part {
	if t.World.Fate(t.ID, "computedParts") == Panic {
		panic("computedParts")
	}
	return []Part{NewPart(t.World, t.ID+"d"), NewPart(t.World, t.ID+"e")}
}

// Risky may fail.
func (t *Thing) Risky() (*int, error) { return t.risk("risky") }

// RiskyMust may fail, and may not be nil.
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

// Lucky may have no answer.
func (t *Thing) Lucky() (int, bool) { return 7, t.World.Fate(t.ID, "lucky") == Fine }

// LuckyMust may have no answer, though it must.
func (t *Thing) LuckyMust() (int, bool) { return 7, t.World.Fate(t.ID, "luckyMust") == Fine }

// Repeated takes an argument.
func (t *Thing) Repeated(times int) (string, error) {
	if times > 3 {
		return "", errors.New("too often")
	}
	return fmt.Sprint(t.Name, times), nil
}

// Patient takes the context.
func (t *Thing) Patient(ctx context.Context) (*int, error) {
	if ctx == nil {
		return nil, errors.New("no context")
	}
	return t.risk("patient")
}

// Whole takes the context and gives an object by value.
func (t *Thing) Whole(context.Context) (Part, error) {
	_, err := t.risk("whole")
	return NewPart(t.World, t.ID+"w"), err
}

// Wholes gives lists of objects by value.
func (t *Thing) Wholes(context.Context) ([][]Part, error) {
	if _, err := t.risk("wholes"); err != nil {
		return nil, err
	}
	return [][]Part{{NewPart(t.World, t.ID+"x")}, {}, {NewPart(t.World, t.ID+"y"), NewPart(t.World, t.ID+"z")}}, nil
}

// Part is kept by value.
type Part struct {
	World *World
	Key   string
	Name  string
	Size  *int
}

// Cell is in lists of lists.
type Cell struct {
	X    int
	Y    *int
	Part *Part
}

// Person is referred to.
type Person struct {
	World *World
	ID    string
	Name  string
	Title *string
}

// IsNode and the others say what a Person is.
func (*Person) IsNode()     {}
func (*Person) IsNamed()    {}
func (*Person) IsAnything() {}

// Square implements its interfaces by value.
type Square struct {
	World *World
	Side  *int
	Area  float64
}

// IsShape and the others say what a Square is.
func (Square) IsShape()    {}
func (Square) IsAnything() {}

// Circle implements its interfaces by pointer.
type Circle struct {
	Radius int
	Area   float64
	Owner  *Person
}

// IsShape and the others say what a Circle is.
func (*Circle) IsShape()    {}
func (*Circle) IsAnything() {}

// Stranger is of every interface, and in no schema.
type Stranger struct{}

// IsNode and the others say what a Stranger claims to be.
func (Stranger) IsNode()     {}
func (Stranger) IsNamed()    {}
func (Stranger) IsShape()    {}
func (Stranger) IsAnything() {}
