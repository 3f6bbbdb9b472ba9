package gqlrequest

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"testing"
	"unicode/utf8"
)

// members agrees with encoding/json on every object.
func FuzzMembers(f *testing.F) {
	for _, seed := range []string{
		`{}`, ` { "a" : 1 } `, `{"a":"}\"","b":[{"c":[1,2,"]"]},null],"":{}}`, `{"a\u0062":1,"ab":2}`, "{\"a\":\t1 ,\n\"b\":-1e9 }",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var want map[string]json.RawMessage
		if !isObject(text) || !utf8.Valid(text) || json.Unmarshal(text, &want) != nil {
			return
		}
		got := map[string]json.RawMessage{}
		for name, value := range members(text) {
			got[name] = bytes.TrimSpace(value)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %q, want %q", text, slices.Collect(maps.Values(got)), slices.Collect(maps.Values(want)))
		}
	})
}

// A name comes twice in an object where a decoder that reads one part after another finds it twice.
func FuzzNamedTwice(f *testing.F) {
	for _, seed := range []string{
		`{"a":{"a":1},"b":[{"a":1},{"a":2}]}`, `{"a":1,"\u0061":2}`, `[{"x":"\"x\":"}]`, `{"a":"a","b":"a"}`, `{"a" : [{"b":1, "b" :2}]}`, `"a"`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if !utf8.Valid(text) || !json.Valid(text) {
			return
		}
		want := twiceIn(t, numbers(text))
		if name, got := namedTwice(text); got != want {
			t.Errorf("%q: %q comes twice: %t, want %t", text, name, got, want)
		}
	})
}

// numbers reads numbers of any size: what is valid has none that cannot be read.
func numbers(text []byte) *json.Decoder {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return d
}

// twiceIn reads one value.
func twiceIn(t *testing.T, d *json.Decoder) (twice bool) {
	token, err := d.Token()
	if err != nil {
		t.Fatal(err)
	}
	switch token {
	case json.Delim('['):
		for d.More() {
			twice = twiceIn(t, d) || twice
		}
	case json.Delim('{'):
		names := map[any]bool{}
		for d.More() {
			name, err := d.Token()
			if err != nil {
				t.Fatal(err)
			}
			nested := twiceIn(t, d) // also after a duplicate: the value must be read
			twice = twice || names[name] || nested
			names[name] = true
		}
	default:
		return false
	}
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	return twice
}

// What counting lets through is as deep as it says, and no deeper.
func FuzzCount(f *testing.F) {
	f.Add([]byte(`{"a": [[[1, 2], "[[["]]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var v any
		limits := Limits{Depth: 4, Values: 20}
		if json.Unmarshal(text, &v) != nil {
			_ = limits.count(text) // must not panic
			return
		}
		depth, values := measure(v)
		if err := limits.count(text); err == nil && (depth > limits.Depth || values > limits.Values) {
			t.Errorf("%q is %d deep and has %d values, and is let through", text, depth, values)
		}
		if err := limits.count(text); err != nil && depth <= limits.Depth && len(text) < limits.Values {
			t.Errorf("%q is %d deep, and refused: %v", text, depth, err)
		}
	})
}

func measure(v any) (depth, values int) {
	each := func(item any) {
		d, n := measure(item)
		depth, values = max(depth, d), values+n
	}
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			each(item)
		}
		return depth + 1, values + 1
	case map[string]any:
		for _, item := range v {
			each(item)
		}
		return depth + 1, values + 1
	}
	return 0, 1
}
