package scalar_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/sluicehq/sluice/graph/scalar"
	"github.com/sluicehq/sluice/internal/errs"
)

func written(m graphql.Marshaler) string {
	var text strings.Builder
	m.MarshalGQL(&text)
	return text.String()
}

// reads tells what came of reading, "refused" for INVALID_ARGUMENT.
func reads[V any](read func(any) (V, error), v any) any {
	got, err := read(v)
	if e := errs.From(err); e != nil {
		if e.Code == errs.InvalidArgument && e.Message != "" && !strings.Contains(e.Message, "%!") {
			return "refused"
		}
		return err
	}
	return got
}

func TestInt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		in   any
		want any
	}{
		{"of a document", int64(7), 7},
		{"of a variable", json.Number("-7"), -7},
		{"of our own", 7, 7},
		{"the largest", int64(math.MaxInt32), math.MaxInt32},
		{"the smallest", json.Number("-2147483648"), math.MinInt32},
		{"too large", int64(math.MaxInt32) + 1, "refused"},
		{"too small", json.Number("-2147483649"), "refused"},
		{"far too large", json.Number("99999999999999999999"), "refused"},
		{"a fraction", json.Number("1.5"), "refused"},
		{"an exponent", json.Number("1e3"), "refused"},
		{"a text", "7", "refused"},
		{"a truth", true, "refused"},
		{"a list", []any{1}, "refused"},
		{"null", nil, "refused"},
	} {
		if got := reads(scalar.UnmarshalInt, c.in); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	if got := written(scalar.MarshalInt(-12)); got != "-12" {
		t.Errorf("-12 is written %s", got)
	}
}

func TestFloat(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		in   any
		want any
	}{
		{"of a document", 1.5, 1.5},
		{"whole, of a document", int64(2), 2.0},
		{"of a variable", json.Number("-1e-7"), -1e-7},
		{"too large", json.Number("1e999"), "refused"},
		{"not a number", math.NaN(), "refused"},
		{"infinite", math.Inf(1), "refused"},
		{"a text", "1.5", "refused"},
		{"a text that is no number", "NaN", "refused"},
		{"an object", map[string]any{}, "refused"},
		{"null", nil, "refused"},
	} {
		if got := reads(scalar.UnmarshalFloat, c.in); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	for f, want := range map[float64]string{1.5: "1.5", 0: "0", 13371.25: "13371.25", 1e21: "1e+21", math.Inf(-1): "null"} {
		if got := written(scalar.MarshalFloat(f)); got != want || !json.Valid([]byte(got)) {
			t.Errorf("%v is written %s", f, got)
		}
	}
}

func TestDateTime(t *testing.T) {
	t.Parallel()
	at := func(text string) time.Time { v, _ := time.Parse(time.RFC3339Nano, text); return v.UTC() }
	for _, c := range []struct {
		in   any
		want any
	}{
		{"2026-11-21T08:30:00Z", at("2026-11-21T08:30:00Z")},
		{"2026-11-21T08:30:00.123456789Z", at("2026-11-21T08:30:00.123456Z")},
		{"2026-11-21T08:30:00+05:45", at("2026-11-21T02:45:00Z")},
		{"0001-01-01T00:00:00Z", at("0001-01-01T00:00:00Z")},
		{"9998-12-31T23:59:59Z", at("9998-12-31T23:59:59Z")},
		{"0001-01-01T00:00:00+01:00", "refused"}, // in UTC the year before
		{"9998-12-31T23:59:59-01:00", "refused"}, // the year after
		{"2026-11-21T08:30:00", "refused"},
		{"2026-11-21", "refused"},
		{"2026-11-21 08:30:00Z", "refused"},
		{"2026-11-21T8:30:00Z", "refused"},
		{"2026-11-21T08:30:00,5Z", "refused"},
		{"2026-02-30T08:30:00Z", "refused"},
		{"2026-11-21T08:30:00+25:00", "refused"},
		{"2026-11-21T08:30:60Z", "refused"},
		{"", "refused"},
		{strings.Repeat("2", 1<<20), "refused"},
		{json.Number("1795249800"), "refused"},
		{int64(1795249800), "refused"},
		{nil, "refused"},
	} {
		if got := reads(scalar.UnmarshalDateTime, c.in); got != c.want {
			t.Errorf("%.40v: %v, want %v", c.in, got, c.want)
		}
	}
	for in, want := range map[string]string{
		"2026-11-21T08:30:00Z":             `"2026-11-21T08:30:00Z"`,
		"2026-11-21T08:30:00.5+05:45":      `"2026-11-21T02:45:00.5Z"`,
		"2026-11-21T08:30:00.123456789Z":   `"2026-11-21T08:30:00.123456Z"`,
		"2026-11-21T23:30:00.000001-23:59": `"2026-11-22T23:29:00.000001Z"`,
	} {
		if got := written(scalar.MarshalDateTime(at(in))); got != want {
			t.Errorf("%s is written %s, want %s", in, got, want)
		}
	}
}

// What reads as a time is written so that it reads as the same time.
func FuzzDateTime(f *testing.F) {
	for _, seed := range []string{"2026-11-21T08:30:00.123456789+05:45", "0001-01-01T00:00:00Z", "9998-12-31T23:59:59.999999999Z", "2026-11-21t08:30:00z", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		first, err := scalar.UnmarshalDateTime(text)
		if err != nil {
			if errs.From(err).Code != errs.InvalidArgument {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		var out string
		if err := json.Unmarshal([]byte(written(scalar.MarshalDateTime(first))), &out); err != nil {
			t.Fatalf("%q is written as %v", text, err)
		}
		if again, err := scalar.UnmarshalDateTime(out); err != nil || !again.Equal(first) {
			t.Errorf("%q becomes %q becomes %v, %v", text, out, again, err)
		}
	})
}

func TestJSON(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   any
		want string
	}{
		{json.Number("123456789012345678901234567890.5"), "123456789012345678901234567890.5"},
		{map[string]any{"b": json.Number("1e400"), "a": []any{nil, true, "<&>"}}, `{"a":[null,true,"<&>"],"b":1e400}`},
		{int64(math.MaxInt64), "9223372036854775807"},
		{"text", `"text"`},
		{nil, "null"},
		{[]any{}, "[]"},
	} {
		got, err := scalar.UnmarshalJSON(c.in)
		if err != nil || string(got) != c.want {
			t.Errorf("%v reads as %s, %v, want %s", c.in, got, err, c.want)
		}
		if out := written(scalar.MarshalJSON(got)); out != c.want {
			t.Errorf("%s is written %s", c.want, out)
		}
	}
	if got := reads(scalar.UnmarshalJSON, math.NaN()); got != "refused" {
		t.Errorf("NaN reads as %v", got)
	}
	if got := written(scalar.MarshalJSON(nil)); got != "null" {
		t.Errorf("nothing is written %s", got)
	}
}

func TestCursor(t *testing.T) {
	t.Parallel()
	if got := reads(scalar.UnmarshalCursor, "abc"); got != "abc" {
		t.Errorf("abc reads as %v", got)
	}
	for _, v := range []any{json.Number("7"), int64(7), nil, []any{"abc"}} {
		if got := reads(scalar.UnmarshalCursor, v); got != "refused" {
			t.Errorf("%v reads as %v", v, got)
		}
	}
	if got := written(scalar.MarshalCursor("a\"b")); got != `"a\"b"` {
		t.Errorf("written %s", got)
	}
}

func TestLabels(t *testing.T) {
	t.Parallel()
	for want, labels := range map[string]map[string]string{
		`{}`:        nil,
		`{"a":"1"}`: {"a": "1"},
		`{"a":"\"quoted\"","b":"","é":"\u0001"}`: {"é": "\x01", "b": "", "a": `"quoted"`},
	} {
		var text strings.Builder
		scalar.MarshalLabels(labels).MarshalGQL(&text)
		appended, ok := scalar.AppendLabels([]byte("x"), labels)
		if text.String() != want || string(appended) != "x"+want || !ok {
			t.Errorf("%v is %s and %s, want %s", labels, text.String(), appended, want)
		}
	}
	if got, err := scalar.UnmarshalLabels(map[string]any{"a": "1"}); err != nil || got["a"] != "1" {
		t.Errorf("got %v, %v", got, err)
	}
	for _, wrong := range []any{nil, "a", []any{"a"}, map[string]any{"a": 1}, map[string]any{"a": nil}} {
		if _, err := scalar.UnmarshalLabels(wrong); err == nil {
			t.Errorf("%v is taken for labels", wrong)
		}
	}
}
