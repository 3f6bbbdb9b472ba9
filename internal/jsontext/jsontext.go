// Package jsontext checks the text of a JSON value, so that every reader can decode it: depth, number of values,
// range of numbers, duplicate names.
package jsontext

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// Limits bound a JSON text.
type Limits struct {
	Depth  int // of lists and objects in each other
	Values int // of all lists and objects together
}

// Usual are the limits of a request, and of JSON from devices and webhooks.
func Usual() Limits { return Limits{Depth: 32, Values: 20_000} }

// Fault is why a JSON text is refused.
type Fault string

// The faults.
const (
	Malformed     Fault = "MALFORMED"
	TooDeep       Fault = "TOO_DEEP"
	TooManyValues Fault = "TOO_MANY_VALUES"
	NumberTooBig  Fault = "NUMBER_TOO_BIG"
	DuplicateName Fault = "DUPLICATE_NAME"
)

// Error is a refused text. Its message starts with a verb, for use after the name of a field.
type Error struct {
	Fault   Fault
	message string
}

// Error implements error.
func (e *Error) Error() string { return e.message }

func refuse(fault Fault, format string, args ...any) *Error {
	return &Error{fault, fmt.Sprintf(format, args...)}
}

// Check returns an *Error for a text that is not one JSON value in UTF-8 within the limits, or has a duplicate name
// or a number beyond 64-bit floating point.
func (l Limits) Check(text []byte) error {
	if err := l.Count(text); err != nil {
		return err
	}
	if !utf8.Valid(text) || !json.Valid(text) {
		return refuse(Malformed, "is not JSON")
	}
	if name, found := Duplicate(text); found {
		return refuse(DuplicateName, "has %.40q twice in one object", name)
	}
	if number := tooBig(text); number != "" {
		return refuse(NumberTooBig, "has the number %.20s, which is too large", number)
	}
	return nil
}

// Count checks depth and number of values alone. The text need not be valid.
func (l Limits) Count(text []byte) error {
	depth, values := 0, 1
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			i = EndOfString(text, i)
			continue
		case '{', '[':
			depth++
			values++
		case '}', ']':
			depth--
		case ',':
			values++
		default:
			continue
		}
		if depth > l.Depth {
			return refuse(TooDeep, "is more than %d levels deep", l.Depth)
		}
		if values > l.Values {
			return refuse(TooManyValues, "has more than %d values", l.Values)
		}
	}
	return nil
}

// EndOfString returns the index of the quote that ends the string which starts at start.
func EndOfString(text []byte, start int) int {
	i := start + 1
	for ; i < len(text) && text[i] != '"'; i++ {
		if text[i] == '\\' {
			i++
		}
	}
	return i
}

// Duplicate returns a duplicate name of an object, for which decoders disagree. The text must be valid JSON.
func Duplicate(text []byte) (name string, found bool) {
	var open []map[string]bool // of the objects and lists around the index; nil for a list
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{':
			open = append(open, map[string]bool{})
		case '[':
			open = append(open, nil)
		case '}', ']':
			open = open[:len(open)-1]
		case '"':
			end := EndOfString(text, i)
			if bytes.HasPrefix(bytes.TrimLeft(text[end+1:], " \t\r\n"), []byte(":")) {
				name = Unquote(text[i : end+1])
				if open[len(open)-1][name] {
					return name, true
				}
				open[len(open)-1][name] = true
			}
			i = end
		}
	}
	return "", false
}

// Unquote decodes a valid JSON string.
func Unquote(quoted []byte) string {
	if !bytes.ContainsRune(quoted, '\\') {
		return string(quoted[1 : len(quoted)-1])
	}
	var decoded string
	_ = json.Unmarshal(quoted, &decoded)
	return decoded
}

// tooBig returns a number without a finite 64-bit representation, or "". The text must be valid JSON.
func tooBig(text []byte) string {
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			i = EndOfString(text, i)
		case c == '-' || c >= '0' && c <= '9':
			start := i
			for i < len(text) && bytes.IndexByte([]byte("+-.0123456789eE"), text[i]) >= 0 {
				i++
			}
			if _, err := strconv.ParseFloat(string(text[start:i]), 64); err != nil {
				return string(text[start:i])
			}
			i--
		}
	}
	return ""
}
