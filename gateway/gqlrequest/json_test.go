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
