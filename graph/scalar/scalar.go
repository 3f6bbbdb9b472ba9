// Package scalar decodes and encodes the scalars of the schema: Int, Float, DateTime, JSON and Cursor. An invalid
// value is INVALID_ARGUMENT with the expected form. Each scalar has two encoders: MarshalX for gqlgen's executor,
// AppendX for plans (graph/plan), where false means null. It is a package because graph/exec, which graph imports,
// needs it.
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

// maxText is the longest text that is parsed, in bytes.
const maxText = 64

func invalid(format string, args ...any) error {
	return errs.New(errs.InvalidArgument, errs.ReasonInvalidField, format, args...)
}

// MarshalInt encodes an integer.
func MarshalInt(i int) graphql.Marshaler { return graphql.MarshalInt(i) }

// AppendInt appends an integer.
func AppendInt(b []byte, i int) ([]byte, bool) { return strconv.AppendInt(b, int64(i), 10), true }

// UnmarshalInt decodes an integer of 32 bits (section 3.5.1 of the specification).
func UnmarshalInt(v any) (int, error) {
	i, err := graphql.UnmarshalInt64(v)
	if err != nil || !isNumber(v) || i < math.MinInt32 || i > math.MaxInt32 {
		return 0, invalid("%s is not an Int: a whole number of 32 bits", excerpt(v))
	}
	return int(i), nil
}

// MarshalFloat encodes a number. A number that is not finite has no encoding: it is null.
func MarshalFloat(f float64) graphql.Marshaler {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return graphql.Null
	}
	return graphql.WriterFunc(func(w io.Writer) {
		_, _ = io.WriteString(w, strconv.FormatFloat(f, 'g', -1, 64)) // the transport reports a failing writer
	})
}

// AppendFloat appends a number. A number that is not finite is null.
func AppendFloat(b []byte, f float64) ([]byte, bool) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return b, false
	}
	return strconv.AppendFloat(b, f, 'g', -1, 64), true
}

// UnmarshalFloat decodes a finite number.
func UnmarshalFloat(v any) (float64, error) {
	f, err := graphql.UnmarshalFloat(v)
	if err != nil || !isNumber(v) || math.IsNaN(f) || math.IsInf(f, 0) {
		return 0, invalid("%s is not a Float: a finite number", excerpt(v))
	}
	return f, nil
}

// isNumber reports whether the value is a number, not a string with digits.
func isNumber(v any) bool {
	switch v.(type) {
	case int, int64, float64, json.Number:
		return true
	}
	return false
}

// excerpt returns the first bytes of a value, as JSON.
func excerpt(v any) string {
	text, err := UnmarshalJSON(v)
	if err != nil {
		return "this"
	}
	return fmt.Sprintf("%.40s", text)
}

// MarshalDateTime encodes a time in UTC.
func MarshalDateTime(t time.Time) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) {
		_, _ = io.WriteString(w, strconv.Quote(t.UTC().Format(layout))) // the transport reports a failing writer
	})
}

// AppendDateTime appends a time in UTC.
func AppendDateTime(b []byte, t time.Time) ([]byte, bool) {
	return append(t.UTC().AppendFormat(append(b, '"'), layout), '"'), true
}

// UnmarshalDateTime decodes RFC 3339 with an offset, to the microsecond.
func UnmarshalDateTime(v any) (time.Time, error) {
	text, ok := v.(string)
	if !ok || len(text) > maxText {
		return time.Time{}, invalid("a DateTime is a text like 2026-11-21T08:30:00Z")
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || text[13] != ':' || strings.Contains(text, ",") { // time.Parse accepts T8:30:00 and 00,5
		return time.Time{}, invalid("%.40q is not a DateTime like 2026-11-21T08:30:00Z", text)
	}
	t = t.UTC()
	if t.Year() < 1 || t.Year() > 9998 {
		return time.Time{}, invalid("%.40q is outside the years 1 to 9998", text)
	}
	return t.Truncate(time.Microsecond), nil
}

// MarshalJSON writes a JSON value unchanged. An invalid value would break the whole response: it is null.
func MarshalJSON(v json.RawMessage) graphql.Marshaler {
	if !json.Valid(v) {
		return graphql.Null
	}
	return graphql.WriterFunc(func(w io.Writer) {
		_, _ = w.Write(v) // the transport reports a failing writer
	})
}

// AppendJSON appends a JSON value unchanged; an invalid value is null.
func AppendJSON(b []byte, v json.RawMessage) ([]byte, bool) { return append(b, v...), json.Valid(v) }

// MarshalLabels encodes labels as a JSON object.
func MarshalLabels(v map[string]string) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) {
		text, _ := AppendLabels(nil, v)
		_, _ = w.Write(text) // the transport reports a failing writer
	})
}

// AppendLabels appends labels as a JSON object, sorted by name.
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

// UnmarshalLabels decodes an object of strings.
func UnmarshalLabels(v any) (map[string]string, error) {
	pairs, ok := v.(map[string]any)
	if !ok {
		return nil, invalid("%s is not an object of texts", excerpt(v))
	}
	labels := make(map[string]string, len(pairs))
	for name, value := range pairs {
		if labels[name], ok = value.(string); !ok {
			return nil, invalid("%s is not an object of texts", excerpt(v))
		}
	}
	return labels, nil
}

// UnmarshalJSON decodes any value.
func UnmarshalJSON(v any) (json.RawMessage, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, invalid("this is not a JSON value")
	}
	return bytes.TrimSpace(text.Bytes()), nil
}

// MarshalCursor encodes a cursor.
func MarshalCursor(s string) graphql.Marshaler { return graphql.MarshalString(s) }

// AppendCursor appends a cursor.
func AppendCursor(b []byte, s string) ([]byte, bool) { return plan.AppendString(b, s), true }

// UnmarshalCursor decodes a cursor. The list verifies that the cursor is one of its own.
func UnmarshalCursor(v any) (string, error) {
	s, ok := v.(string)
	if !ok {
		return "", invalid("a Cursor is a string that a list returned")
	}
	return s, nil
}
