package plan

import (
	"math"
	"strconv"

	"github.com/99designs/gqlgen/graphql"
)

const hex = "0123456789ABCDEF"

// AppendString appends a string in quotes, escaped as gqlgen does.
func AppendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[start:i]...)
		start = i + 1
		switch c {
		case '\t':
			b = append(b, '\\', 't')
		case '\r':
			b = append(b, '\\', 'r')
		case '\n':
			b = append(b, '\\', 'n')
		case '"', '\\':
			b = append(b, '\\', c)
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
		}
	}
	return append(append(b, s[start:]...), '"')
}

// String writes a string.
func (w *Writer) String(s string) bool {
	w.buf = AppendString(w.buf, s)
	return true
}

// Int writes an integer.
func (w *Writer) Int(i int64) bool {
	w.buf = strconv.AppendInt(w.buf, i, 10)
	return true
}

// Float writes a number as gqlgen's MarshalFloat does.
func (w *Writer) Float(f float64) bool {
	w.buf = strconv.AppendFloat(w.buf, f, 'g', -1, 64)
	return true
}

// FloatContext writes a number as gqlgen's MarshalFloatContext does: a number that is not finite is an error.
func (w *Writer) FloatContext(f float64) bool {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return w.MarshalContext(graphql.MarshalFloatContext(f))
	}
	return w.Float(f)
}

// Bool writes a boolean.
func (w *Writer) Bool(b bool) bool {
	w.buf = strconv.AppendBool(w.buf, b)
	return true
}

// Append writes a scalar by the function AppendX that its package has beside MarshalX. It returns false for null.
func Append[T any](w *Writer, v T, scalar func([]byte, T) ([]byte, bool)) bool {
	b, ok := scalar(w.buf, v)
	if ok {
		w.buf = b
	}
	return ok
}

// Write implements io.Writer for marshallers.
func (w *Writer) Write(b []byte) (int, error) {
	w.buf = append(w.buf, b...)
	return len(b), nil
}

// WriteString implements io.StringWriter for marshallers.
func (w *Writer) WriteString(s string) (int, error) {
	w.buf = append(w.buf, s...)
	return len(s), nil
}

// Marshal writes the output of a marshaller. It returns false for null.
func (w *Writer) Marshal(m graphql.Marshaler) bool {
	if m == graphql.Marshaler(graphql.Null) {
		return false
	}
	m.MarshalGQL(w)
	return true
}

// MarshalContext writes the output of a marshaller that can fail. A failure is reported, and null is
// written even where the schema does not allow it.
func (w *Writer) MarshalContext(m graphql.ContextMarshaler) bool {
	mark, ctx := len(w.buf), w.context()
	if err := m.MarshalGQLContext(ctx, w); err != nil {
		w.late = append(w.late, lateError{mark, ctx, err})
		w.buf = append(w.buf, "null"...)
	}
	return true
}

// IsNull reports whether a marshaller is gqlgen's null.
func IsNull(m graphql.ContextMarshaler) bool { return m == graphql.ContextMarshaler(graphql.Null) }
