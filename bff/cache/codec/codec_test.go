package codec

import (
	"bytes"
	"encoding/binary"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/cache/versions"
)

// sample returns a value with set, empty and nil fields of each type that views have.
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

func TestCodecDecodeOfAnEncodedValueReturnsAnEqualValue(t *testing.T) {
	t.Parallel()
	c, err := New(reflect.TypeFor[bff.Page[bff.Activity]]())
	if err != nil {
		t.Fatal(err)
	}
	want := sample()
	var got bff.Page[bff.Activity]
	if err := c.Decode(c.Append(nil, want), &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if c, err = New(reflect.TypeFor[bff.Device]()); err != nil {
		t.Fatal(err)
	}
	for _, labels := range []map[string]string{nil, {}, {"b": "2", "a": "1", "": ""}} {
		want, got := bff.Device{ID: "d", Labels: labels}, bff.Device{}
		if err := c.Decode(c.Append(nil, want), &got); err != nil || !reflect.DeepEqual(got.Labels, want.Labels) {
			t.Errorf("got %#v, %v, want %#v", got.Labels, err, want.Labels)
		}
	}
}

func TestCodecOfAChangedTypeHasAnotherFingerprint(t *testing.T) {
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
		c, err := New(of)
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := seen[c.Fingerprint()]; ok {
			t.Errorf("%v has the fingerprint of %v", of, other)
		}
		seen[c.Fingerprint()] = of
	}
	for _, of := range []reflect.Type{reflect.TypeFor[map[int]string](), reflect.TypeFor[struct{ a int }](), reflect.TypeFor[any]()} {
		if _, err := New(of); err == nil {
			t.Errorf("%v has a codec", of)
		}
	}
}

// Any bytes decode to an entry or to an error, without a panic and without a large allocation. A decoded entry is equal
// after another round trip.
func FuzzDecodeEntry(f *testing.F) {
	pages, devices := Must(reflect.TypeFor[bff.Page[bff.Activity]]()), Must(reflect.TypeFor[*bff.Device]())
	noon := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	h := Header{ExpiresAt: noon, Stamp: versions.Stamp{All: versions.New(), Own: versions.New()}}
	f.Add(pages.EncodeEntry(h, sample())[checksumSize:])
	f.Add(devices.EncodeEntry(h, &bff.Device{ID: "d", Labels: map[string]string{"a": "b"}})[checksumSize:])
	f.Add(devices.EncodeEntry(Header{Absent: true, ExpiresAt: noon}, nil)[checksumSize:])
	f.Fuzz(func(t *testing.T, rest []byte) {
		b := binary.LittleEndian.AppendUint32(nil, checksum(rest)) // else each input would fail at the checksum
		b = append(b, rest...)
		var device, decoded *bff.Device
		if h, err := devices.DecodeEntry(b, &device); err == nil && !h.Absent {
			second, err := devices.DecodeEntry(devices.EncodeEntry(h, device), &decoded)
			if err != nil || second.Stamp != h.Stamp {
				t.Errorf("%x decodes to %+v, which does not survive a round trip: %v", b, device, err)
			}
		}
		var page bff.Page[bff.Activity]
		_, _ = pages.DecodeEntry(b, &page)
		_, _ = pages.DecodeEntry(rest, &page)
		entries, _ := Unpack(rest)
		for id, entry := range entries {
			if packed, err := Unpack(Pack(nil, id, entry)); err != nil || !bytes.Equal(packed[id], entry) {
				t.Errorf("the entry %x of %q does not survive a round trip: %v", entry, id, err)
			}
		}
	})
}
