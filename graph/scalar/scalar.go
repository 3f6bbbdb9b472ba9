// Package scalar reads and writes the scalars of the schema: Int, Float, DateTime, JSON and Cursor.
//
// What does not read as one is INVALID_ARGUMENT and says what was expected; nothing is guessed. It
// stands apart from graph because graph/exec, which graph imports, needs it.
//
// Each scalar is written twice: MarshalX for gqlgen's executor, AppendX for the engine (graph/plan),
// where false is null.
package scalar

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/sluicehq/sluice/graph/plan"
	"github.com/sluicehq/sluice/internal/errs"
)

// layout is RFC 3339 in UTC with microseconds, the precision of every store.
const layout = "2006-01-02T15:04:05.999999Z07:00"

// maxText bounds what is parsed, in bytes.
const maxText = 64

func invalid(format string, args ...any) error {
	return errs.New(errs.InvalidArgument, errs.ReasonInvalidField, format, args...)
}

// MarshalInt writes a whole number.
func MarshalInt(i int) graphql.Marshaler { return graphql.MarshalInt(i) }

// AppendInt appends a whole number.
func AppendInt(b []byte, i int) ([]byte, bool) { return strconv.AppendInt(b, int64(i), 10), true }

// UnmarshalInt reads a whole number of 32 bits, as the specification has it (section 3.5.1).
func UnmarshalInt(v any) (int, error) {
	i, err := graphql.UnmarshalInt64(v)
	if err != nil || !isNumber(v) || i < math.MinInt32 || i > math.MaxInt32 {
		return 0, invalid("%s is not an Int: a whole number of 32 bits", shown(v))
	}
	return int(i), nil
}

// MarshalFloat writes a number; one that is not finite cannot be written, and is null.
func MarshalFloat(f float64) graphql.Marshaler {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return graphql.Null
	}
	return graphql.WriterFunc(func(w io.Writer) {
		_, _ = io.WriteString(w, strconv.FormatFloat(f, 'g', -1, 64)) // the transport tells of a writer that fails
	})
}

// AppendFloat appends a number; one that is not finite is null.
func AppendFloat(b []byte, f float64) ([]byte, bool) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return b, false
	}
	return strconv.AppendFloat(b, f, 'g', -1, 64), true
}

// UnmarshalFloat reads a finite number.
func UnmarshalFloat(v any) (float64, error) {
	f, err := graphql.UnmarshalFloat(v)
	if err != nil || !isNumber(v) || math.IsNaN(f) || math.IsInf(f, 0) {
		return 0, invalid("%s is not a Float: a finite number", shown(v))
	}
	return f, nil
}

// isNumber tells a number from a text that looks like one.
func isNumber(v any) bool {
	switch v.(type) {
	case int, int64, float64, json.Number:
		return true
	}
	return false
}

// shown is the beginning of what somebody sent, as JSON.
func shown(v any) string {
	text, err := UnmarshalJSON(v)
	if err != nil {
		return "this"
	}
	return fmt.Sprintf("%.40s", text)
}

// MarshalDateTime writes a time in UTC.
func MarshalDateTime(t time.Time) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) {
		_, _ = io.WriteString(w, strconv.Quote(t.UTC().Format(layout))) // the transport tells of a writer that fails
	})
}

// AppendDateTime appends a time in UTC.
func AppendDateTime(b []byte, t time.Time) ([]byte, bool) {
	return append(t.UTC().AppendFormat(append(b, '"'), layout), '"'), true
}

// UnmarshalDateTime reads RFC 3339 with an offset, to the microsecond.
func UnmarshalDateTime(v any) (time.Time, error) {
	text, ok := v.(string)
	if !ok || len(text) > maxText {
		return time.Time{}, invalid("a DateTime is a text like 2026-11-21T08:30:00Z")
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || text[13] != ':' || strings.Contains(text, ",") { // time.Parse lets pass T8:30:00 and 00,5
		return time.Time{}, invalid("%.40q is not a DateTime like 2026-11-21T08:30:00Z", text)
	}
	t = t.UTC()
	if t.Year() < 1 || t.Year() > 9998 {
		return time.Time{}, invalid("%.40q is too far away", text)
	}
	return t.Truncate(time.Microsecond), nil
}

// MarshalJSON writes a JSON value as it is. What is none would spoil the whole answer, and is null.
func MarshalJSON(v json.RawMessage) graphql.Marshaler {
	if !json.Valid(v) {
		return graphql.Null
	}
	return graphql.WriterFunc(func(w io.Writer) {
		_, _ = w.Write(v) // the transport tells of a writer that fails
	})
}

// AppendJSON appends a JSON value as it is; what is none is null.
func AppendJSON(b []byte, v json.RawMessage) ([]byte, bool) { return append(b, v...), json.Valid(v) }

// MarshalLabels writes labels as a JSON object.
func MarshalLabels(v map[string]string) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) {
		text, _ := AppendLabels(nil, v)
		_, _ = w.Write(text) // the transport tells of a writer that fails
	})
}

// AppendLabels appends labels as a JSON object, in order of their names.
func AppendLabels(b []byte, v map[string]string) ([]byte, bool) {
	b = append(b, '{')
	for i, name := range slices.Sorted(maps.Keys(v)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(plan.AppendString(b, name), ':')
		b = plan.AppendString(b, v[name])
	}
	return append(b, '}'), true
}

// UnmarshalLabels takes an object of texts.
func UnmarshalLabels(v any) (map[string]string, error) {
	pairs, ok := v.(map[string]any)
	if !ok {
		return nil, invalid("%s is not an object of texts", shown(v))
	}
	labels := make(map[string]string, len(pairs))
	for name, value := range pairs {
		if labels[name], ok = value.(string); !ok {
			return nil, invalid("%s is not an object of texts", shown(v))
		}
	}
	return labels, nil
}

// UnmarshalJSON takes any value.
func UnmarshalJSON(v any) (json.RawMessage, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, invalid("this is not a JSON value")
	}
	return bytes.TrimSpace(text.Bytes()), nil
}

// MarshalCursor writes a cursor.
func MarshalCursor(s string) graphql.Marshaler { return graphql.MarshalString(s) }

// AppendCursor appends a cursor.
func AppendCursor(b []byte, s string) ([]byte, bool) { return plan.AppendString(b, s), true }

// UnmarshalCursor reads a cursor; whether it belongs to the list is for the list to say.
func UnmarshalCursor(v any) (string, error) {
	s, ok := v.(string)
	if !ok {
		return "", invalid("a Cursor is a text that the list gave")
	}
	return s, nil
}
