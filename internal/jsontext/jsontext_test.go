package jsontext_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sluicehq/sluice/internal/jsontext"
)

func nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

func list(values int) string { return "[0" + strings.Repeat(",0", values-2) + "]" }

func TestCheckRefusesWhatReadersCannotDecode(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]jsontext.Fault{
		`null`:              "",
		` {"a": [1, "x"]} `: "",
		`"1e999 [[[["`:      "",
		`{"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]}`: "",
		`[1.7e308, -1.7e308, 1e-999, 0]`:             "",
		`"` + strings.Repeat(`\"[{,`, 30_000) + `"`:  "",
		nested(32):                         "",
		list(20_000):                       "",
		nested(33):                         jsontext.TooDeep,
		nested(9_000):                      jsontext.TooDeep,
		strings.Repeat(`{"a":`, 1_000_000): jsontext.TooDeep,
		list(20_001):                       jsontext.TooManyValues,
		`1e999999999`:                      jsontext.NumberTooBig,
		`{"a": [-1e400]}`:                  jsontext.NumberTooBig,
		strings.Repeat("9", 400):           jsontext.NumberTooBig,
		`{"a": 1, "\u0061": 2}`:            jsontext.DuplicateName,
		`[{"a": {"b": 1, "b": 1}}]`:        jsontext.DuplicateName,
		``:                                 jsontext.Malformed,
		`{"a": 1} {}`:                      jsontext.Malformed,
		`[1,]`:                             jsontext.Malformed,
		"\"\xff\"":                         jsontext.Malformed,
		`]`:                                jsontext.Malformed,
	} {
		err := jsontext.Usual().Check([]byte(text))
		refusal, _ := errors.AsType[*jsontext.Error](err)
		if refusal == nil && (err != nil || want != "") || refusal != nil && refusal.Fault != want {
			t.Errorf("%.40s: %v, want the fault %q", text, err, want)
		}
	}
}

func FuzzCheck(f *testing.F) {
	for _, seed := range []string{`{"a": [1e5, "\"", null]}`, nested(40), `{"a":1,"a":2}`, `-1e999`, `"\u12`, `}{`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if jsontext.Usual().Check([]byte(text)) != nil {
			return
		}
		var decoded any
		if err := json.Unmarshal([]byte(text), &decoded); err != nil {
			t.Errorf("%q passes and is not decoded: %v", text, err)
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
		if name, got := jsontext.Duplicate(text); got != want {
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
		limits := jsontext.Limits{Depth: 4, Values: 20}
		if json.Unmarshal(text, &v) != nil {
			_ = limits.Count(text) // must not panic
			return
		}
		depth, values := measure(v)
		if err := limits.Count(text); err == nil && (depth > limits.Depth || values > limits.Values) {
			t.Errorf("%q is %d deep and has %d values, and is let through", text, depth, values)
		}
		if err := limits.Count(text); err != nil && depth <= limits.Depth && len(text) < limits.Values {
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
