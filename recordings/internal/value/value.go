// Package value parses numbers, coordinates, times and keys in common written forms. An ambiguous value is an error,
// not a guess. Errors quote the value.
package value

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxText bounds a name or key, in bytes.
const maxText = 1024

// Quote returns s in quotes, shortened for an error.
func Quote(s string) string { return strconv.Quote(Cut(s)) }

// Cut returns s as valid UTF-8 of at most 80 bytes.
func Cut(s string) string {
	const most = 80
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(s, "")
}

// Text parses a name or a key: trimmed, valid UTF-8, without control characters, at most 1024 bytes. The result does
// not share memory with s.
func Text(s string) (string, error) {
	s = strings.TrimSpace(s)
	if len(s) > maxText {
		return "", fmt.Errorf("%s is longer than %d bytes", Quote(s), maxText)
	}
	if !utf8.ValidString(s) {
		return "", fmt.Errorf("%s is not UTF-8", Quote(s))
	}
	if strings.ContainsFunc(s, unicode.IsControl) {
		return "", fmt.Errorf("%s holds a control character", Quote(s))
	}
	return strings.Clone(s), nil
}

// Number parses a finite decimal number.
func Number(s string) (float64, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return 0, fmt.Errorf("is missing")
	}
	v, err := strconv.ParseFloat(s, 64)
	if math.IsNaN(v) {
		return 0, fmt.Errorf("is NaN")
	}
	if math.IsInf(v, 0) {
		return 0, fmt.Errorf("%s is not finite", Quote(s))
	}
	if err != nil || strings.ContainsAny(s, "xX_") {
		return 0, fmt.Errorf("%s is not a number", Quote(s))
	}
	return v, nil
}

// Latitude parses degrees from -90 to 90.
func Latitude(s string) (float64, error) { return degrees(s, 90) }

// Longitude parses degrees from -180 to 180.
func Longitude(s string) (float64, error) { return degrees(s, 180) }

func degrees(s string, most float64) (float64, error) {
	v, err := Number(s)
	if err != nil {
		return 0, err
	}
	if v < -most || v > most {
		return 0, fmt.Errorf("%s is outside -%g to %g degrees", Quote(s), most, most)
	}
	return v, nil
}

// Name converts headers to snake_case for comparison: "Distance (km)", "distanceKm" and "distance-km" are all
// distance_km.
func Name(s string) string {
	var out strings.Builder
	var before rune
	for _, r := range s {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			before = '_'
			continue
		case out.Len() > 0 && (before == '_' || unicode.IsUpper(r) && unicode.IsLower(before)):
			out.WriteByte('_')
		}
		out.WriteRune(unicode.ToLower(r))
		before = r
	}
	return out.String()
}

// Key returns a hash of the parts: the first 128 bits of SHA-256, in hexadecimal.
func Key(parts ...string) string {
	var buf []byte
	for _, p := range parts {
		// The length prefix separates the parts.
		buf = binary.AppendUvarint(buf, uint64(len(p)))
		buf = append(buf, p...)
	}
	sum := sha256.Sum256(buf)
	return hex.EncodeToString(sum[:16])
}

// FromJSON returns the text of a valid JSON value: a string without quotes, "" for null or none, any other value
// unchanged.
func FromJSON(raw json.RawMessage) string {
	if len(raw) == 0 || string(raw) == "null" {
		return ""
	}
	var s string
	if raw[0] == '"' && json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

// Digits formats v with the fewest digits that parse back to v.
func Digits(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
