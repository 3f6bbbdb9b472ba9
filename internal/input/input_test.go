package input_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/input"
)

// check is what a check says of "f": want is "" where it passes, and else the start of its refusal.
func check(t *testing.T, what string, err error, want string) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		return
	}
	e := errs.From(err)
	if e == nil || e.Code != errs.InvalidArgument || e.Reason != errs.ReasonInvalidField || !strings.HasPrefix(e.Message, "f"+want) {
		t.Errorf("%s: got %v, want f%s", what, err, want)
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	const control, nul, long, bytes, missing = ": must be UTF-8 without control", ": must be UTF-8 without NUL", ": is longer than 4 char", ": is longer than 4 bytes", ": is missing"
	for _, c := range []struct{ text, line, name, key, words string }{
		{text: "abcd"},
		{text: "éé"},
		{text: "éééé", key: bytes},
		{text: "", name: missing, key: missing},
		{text: " \t", line: control, name: missing, key: control},
		{text: "\u2003", name: missing},
		{text: "abcde", line: long, name: long, key: bytes, words: long},
		{text: "a\nb", line: control, name: control, key: control},
		{text: "a\u0085", line: control, name: control, key: control},
		{text: "a\x00", line: control, name: control, key: control, words: nul},
		{text: "\xff", line: control, name: control, key: control, words: nul},
	} {
		check(t, "line "+c.text, input.Line("f", c.text, 4), c.line)
		check(t, "name "+c.text, input.Name("f", c.text, 4), c.name)
		check(t, "key "+c.text, input.Key("f", c.text, 4), c.key)
		check(t, "text "+c.text, input.Text("f", c.text, 4), c.words)
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"null": "", "[1]": "", ` ""`: "",
		"":       ": is not JSON",
		"{":      ": is not JSON",
		"1 2":    ": is not JSON",
		"\"\xff": ": is not JSON",
		"[1,2]":  ": is longer than 4 bytes",
	} {
		check(t, text, input.JSON("f", text, 4), want)
	}
}

func TestObject(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"size": 7}`:           "",
		` {"size": 7} `:         "",
		`{"size": "7"}`:         ": must be {size}",
		`{"size": 7, "age": 1}`: ": must be {size}",
		`[]`:                    ": must be {size}",
		``:                      ": must be {size}",
		`{"size": 7} {}`:        ": must be one object",
		`{"size": 7}}`:          ": must be one object",
	} {
		var to struct{ Size int }
		err := input.Object("f", text, "{size}", &to)
		check(t, text, err, want)
		if want == "" && to.Size != 7 {
			t.Errorf("%s reads as %+v", text, to)
		}
	}
}

func TestTime(t *testing.T) {
	t.Parallel()
	west := time.FixedZone("west", -3600)
	for _, c := range []struct {
		at   time.Time
		want string
	}{
		{time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC), ""},
		{time.Date(1899, 12, 31, 23, 0, 0, 0, west), ""},
		{time.Date(2199, 12, 31, 23, 59, 59, 999_999_999, time.UTC), ""},
		{time.Date(1899, 12, 31, 23, 59, 59, 0, time.UTC), ": must be between the years 1900 and 2200"},
		{time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC), ": must be between"},
		{time.Date(2199, 12, 31, 23, 0, 0, 0, west), ": must be between"},
		{time.Time{}, ": must be between"},
	} {
		kept, err := input.Time("f", c.at)
		check(t, c.at.String(), err, c.want)
		if c.want == "" && kept != c.at.UTC().Truncate(time.Microsecond) {
			t.Errorf("%s is kept as %s", c.at, kept)
		}
		optional, err := input.OptionalTime("f", &c.at)
		check(t, c.at.String(), err, c.want)
		if (optional == nil) != (err != nil) || optional != nil && *optional != kept {
			t.Errorf("%s is kept as %s, or %s", c.at, optional, kept)
		}
	}
	if none, err := input.OptionalTime("f", nil); none != nil || err != nil {
		t.Errorf("no time: %v, %v", none, err)
	}
}

func TestZone(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"UTC": "", "Europe/Berlin": "",
		"": ": is not the IANA", "Local": ": is not the IANA", strings.Repeat("x", 65): ": is not the IANA",
		"Nowhere": `: there is no time zone "Nowhere"`, "../etc/passwd": ": there is no",
	} {
		zone, err := input.Zone("f", name)
		check(t, name, err, want)
		if want == "" && zone.String() != name {
			t.Errorf("%q gives %s", name, zone)
		}
	}
}

func TestPlace(t *testing.T) {
	t.Parallel()
	accuracy := func(metres float64) *float64 { return &metres }
	for _, c := range []struct {
		latitude, longitude float64
		accuracy            *float64
		want                string
	}{
		{90, -180, nil, ""},
		{-90, 180, accuracy(0), ""},
		{0, 0, accuracy(math.MaxFloat64), ""},
		{90.001, 0, nil, ".latitude: must be between -90 and 90"},
		{math.NaN(), 0, nil, ".latitude: must be"},
		{0, -180.5, nil, ".longitude: must be between -180 and 180"},
		{0, math.Inf(1), nil, ".longitude: must be"},
		{0, math.NaN(), nil, ".longitude: must be"},
		{0, 0, accuracy(-0.1), ".accuracy: must be 0 or more"},
		{0, 0, accuracy(math.Inf(1)), ".accuracy: must be"},
		{0, 0, accuracy(math.NaN()), ".accuracy: must be"},
	} {
		check(t, c.want, input.Place("f", c.latitude, c.longitude, c.accuracy), c.want)
	}
}

func TestIDs(t *testing.T) {
	t.Parallel()
	a, b, trip := ids.New(ids.Device), ids.New(ids.Device), ids.New(ids.Trip)
	check(t, "its own", input.ID("f", ids.Device, a), "")
	check(t, "another kind", input.ID("f", ids.Device, trip), ": ")
	check(t, "none", input.ID("f", ids.Device, ""), ": ")
	check(t, "no reference", input.OptionalID("f", ids.Device, ""), "")
	check(t, "a reference", input.OptionalID("f", ids.Device, a), "")
	check(t, "a wrong reference", input.OptionalID("f", ids.Device, trip), ": ")

	all := []string{b, trip, a, "nonsense", b, ""}
	sent := slices.Clone(all)
	known, err := input.IDs("f", ids.Device, all)
	if want := []string{a, b}; err != nil || !slices.Equal(known, want) {
		t.Errorf("got %v, %v, want %v", known, err, want)
	}
	if !slices.Equal(all, sent) {
		t.Error("the list of the caller was changed")
	}
	_, err = input.IDs("f", ids.Device, make([]string, input.MaxIDs))
	check(t, "as many as can be", err, "")
	_, err = input.IDs("f", ids.Device, make([]string, input.MaxIDs+1))
	check(t, "too many", err, ": are more than 1000")
}
