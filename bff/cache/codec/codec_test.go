package cache

import (
	"bytes"
	"encoding/binary"
	"log/slog"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/clock"
)

// sample is a value with everything that views have: there, empty, and not there.
func sample() bff.Page[bff.Activity] {
	zero, amount, text, total := 0.0, math.SmallestNonzeroFloat64, "π\x00", 0
	at := time.Date(1969, 12, 31, 23, 59, 59, 999_999_999, time.UTC)
	return bff.Page[bff.Activity]{
		Items: []*bff.Activity{
			{ID: "a", Content: &text, StartedAt: at, EndedAt: &at, Amount: &zero, Links: []*bff.Link{}, Data: bff.JSON(`{ "a": "<é>" }`)},
			nil,
			{Amount: &amount, Links: []*bff.Link{nil, {URL: "u"}}, Data: bff.JSON{}, Position: &bff.Position{Latitude: math.Inf(1), Counted: true}},
		},
		Cursors: nil, HasNext: true, Total: &total,
	}
}

func TestValuesComeOutAsTheyWentIn(t *testing.T) {
	t.Parallel()
	c, err := newCodec(reflect.TypeFor[bff.Page[bff.Activity]]())
	if err != nil {
		t.Fatal(err)
	}
	want := sample()
	var got bff.Page[bff.Activity]
	if err := c.read(c.append(nil, want), &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if c, err = newCodec(reflect.TypeFor[bff.Device]()); err != nil {
		t.Fatal(err)
	}
	for _, labels := range []map[string]string{nil, {}, {"b": "2", "a": "1", "": ""}} {
		want, got := bff.Device{ID: "d", Labels: labels}, bff.Device{}
		if err := c.read(c.append(nil, want), &got); err != nil || !reflect.DeepEqual(got.Labels, want.Labels) {
			t.Errorf("got %#v, %v, want %#v", got.Labels, err, want.Labels)
		}
	}
}

func TestATypeThatChangesHasAnotherFingerprint(t *testing.T) {
	t.Parallel()
	type first struct{ A, B string }
	type renamed struct{ A, C string }
	type retyped struct {
		A string
		B *string
	}
	type nested struct{ X []first }
	type nestedRenamed struct{ X []renamed }
	seen := map[string]reflect.Type{}
	for _, of := range []reflect.Type{
		reflect.TypeFor[first](), reflect.TypeFor[renamed](), reflect.TypeFor[retyped](), reflect.TypeFor[nested](), reflect.TypeFor[nestedRenamed](),
	} {
		c, err := newCodec(of)
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := seen[c.fingerprint]; ok {
			t.Errorf("%v has the fingerprint of %v", of, other)
		}
		seen[c.fingerprint] = of
	}
	for _, of := range []reflect.Type{reflect.TypeFor[map[int]string](), reflect.TypeFor[struct{ a int }](), reflect.TypeFor[any]()} {
		if _, err := newCodec(of); err == nil {
			t.Errorf("%v can be kept", of)
		}
	}
}

// Whatever stands in Redis reads as an entry or is an error; it never panics, nor takes memory that it
// does not have. What reads is written again as it was.
func FuzzParse(f *testing.F) {
	c := New(Options{Memory: 1, Clock: clock.System{}, Logger: slog.New(slog.DiscardHandler)})
	pages := newRead[bff.Page[bff.Activity]](c, "Activities.ListActivities", false, nil)
	devices := newRead[*bff.Device](c, "Devices.GetDevices", true, nil)
	e := &entry{until: noon(), stamp: stamp{newVersion(), newVersion()}}
	f.Add(pages.encode(e, sample())[checksumSize:])
	f.Add(devices.encode(e, &bff.Device{ID: "d", Labels: map[string]string{"a": "b"}})[checksumSize:])
	f.Add(devices.encode(&entry{absent: true, until: noon()}, nil)[checksumSize:])
	f.Fuzz(func(t *testing.T, rest []byte) {
		b := binary.LittleEndian.AppendUint32(nil, checksum(rest)) // else all would fail for the same reason
		b = append(b, rest...)
		if e, err := devices.parse(b); err == nil && !e.absent {
			again, err := devices.parse(devices.encode(e, e.value.(*bff.Device)))
			if err != nil || again.stamp != e.stamp {
				t.Errorf("%x reads as %+v, which does not come back: %v", b, e.value, err)
			}
		}
		_, _ = pages.parse(b)
		_, _ = pages.parse(rest)
		for id, entry := range devices.unpack("key", rest) {
			if again := devices.unpack("key", pack(nil, id, entry)); !bytes.Equal(again[id], entry) {
				t.Errorf("%x does not come back from %q", entry, id)
			}
		}
	})
}
