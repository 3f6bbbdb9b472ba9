// Package value reads single values as people and machines write them into
// recordings: numbers, places on Earth, times, keys. Its errors are reasons a
// person can act on, and quote what was found.
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

// maxText is how many bytes a name or key may take.
const maxText = 1024

// Quote shows what was found, cut to what fits a line.
func Quote(s string) string { return strconv.Quote(Cut(s)) }

// Cut is s as valid UTF-8 of at most 80 bytes.
func Cut(s string) string {
	const most = 80
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(s, "")
}

// Text is a name or a key: trimmed, valid UTF-8, without control characters, at
// most 1024 bytes. It shares no memory with s.
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

// Number is a finite decimal number.
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

// Latitude is a number of degrees from -90 to 90.
func Latitude(s string) (float64, error) { return degrees(s, 90) }

// Longitude is a number of degrees from -180 to 180.
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

// Name is s in snake_case, by which headers are compared: "Distance (km)",
// "distanceKm" and "distance-km" are all distance_km.
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

// Key is a hash of parts, the same for the same parts in the same order: the
// first 128 bits of SHA-256 in hexadecimal.
func Key(parts ...string) string {
	var buf []byte
	for _, p := range parts {
		// The length first, so that no two lists of parts read the same.
		buf = binary.AppendUvarint(buf, uint64(len(p)))
		buf = append(buf, p...)
	}
	sum := sha256.Sum256(buf)
	return hex.EncodeToString(sum[:16])
}

// FromJSON is the text of a valid JSON value: a string without its quotes, null
// and no value at all as nothing, all else as written.
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

// Digits is v in the shortest form that reads back as v.
func Digits(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
