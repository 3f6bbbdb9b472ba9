package gqlrequest

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/jsontext"
)

// count checks depth and number of values of a JSON text before it is decoded.
func (l Limits) count(text []byte) error {
	err := jsontext.Limits{Depth: l.Depth, Values: l.Values}.Count(text)
	refusal, refused := errors.AsType[*jsontext.Error](err)
	switch {
	case !refused:
		return nil
	case refusal.Fault == jsontext.TooDeep:
		return errs.New(errs.InvalidArgument, "REQUEST_TOO_DEEP", "the request's JSON is more than %d levels deep", l.Depth)
	}
	return errs.New(errs.InvalidArgument, "TOO_MANY_VALUES", "the request has more than %d values", l.Values)
}

const blank = " \t\r\n"

func isList(text []byte) bool   { return bytes.HasPrefix(bytes.TrimLeft(text, blank), []byte("[")) }
func isObject(text []byte) bool { return bytes.HasPrefix(bytes.TrimLeft(text, blank), []byte("{")) }

// members iterates over the names and values of an object. The text must be valid JSON.
func members(object []byte) iter.Seq2[string, json.RawMessage] {
	return func(yield func(string, json.RawMessage) bool) {
		rest := after(object, "{")
		for rest[0] == '"' {
			end := jsontext.EndOfString(rest, 0) + 1
			name := jsontext.Unquote(rest[:end])
			rest = after(rest[end:], ":")
			end = endOfValue(rest)
			if !yield(name, bytes.TrimRight(rest[:end], blank)) {
				return
			}
			if rest = rest[end:]; rest[0] == ',' {
				rest = after(rest, ",")
			}
		}
	}
}

func items(list []byte) iter.Seq[json.RawMessage] {
	return func(yield func(json.RawMessage) bool) {
		rest := after(list, "[")
		for rest[0] != ']' {
			end := endOfValue(rest)
			if !yield(bytes.TrimRight(rest[:end], blank)) {
				return
			}
			if rest = rest[end:]; rest[0] == ',' {
				rest = after(rest, ",")
			}
		}
	}
}

// after skips a delimiter and white space.
func after(text []byte, mark string) []byte {
	return bytes.TrimLeft(bytes.TrimPrefix(bytes.TrimLeft(text, blank), []byte(mark)), blank)
}

func endOfValue(text []byte) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			i = jsontext.EndOfString(text, i)
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth < 0 {
				return i
			}
		case ',':
			if depth == 0 {
				return i
			}
		}
	}
	return len(text)
}
