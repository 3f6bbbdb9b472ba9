package gqlrequest

import (
	"bytes"
	"encoding/json"
	"iter"

	"github.com/sluicehq/sluice/internal/errs"
)

// count checks depth and number of values of a JSON text before it is decoded.
func (l Limits) count(text []byte) error {
	depth, values := 0, 1
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			i = endOfText(text, i)
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
			return errs.New(errs.InvalidArgument, "REQUEST_TOO_DEEP", "the request's JSON is more than %d levels deep", l.Depth)
		}
		if values > l.Values {
			return errs.New(errs.InvalidArgument, "TOO_MANY_VALUES", "the request has more than %d values", l.Values)
		}
	}
	return nil
}

func endOfText(text []byte, i int) int {
	for i++; i < len(text) && text[i] != '"'; i++ {
		if text[i] == '\\' {
			i++
		}
	}
	return i
}

const blank = " \t\r\n"

func isList(text []byte) bool   { return bytes.HasPrefix(bytes.TrimLeft(text, blank), []byte("[")) }
func isObject(text []byte) bool { return bytes.HasPrefix(bytes.TrimLeft(text, blank), []byte("{")) }

// members iterates over the names and values of an object. The text must be valid JSON.
func members(object []byte) iter.Seq2[string, json.RawMessage] {
	return func(yield func(string, json.RawMessage) bool) {
		rest := after(object, "{")
		for rest[0] == '"' {
			end := endOfText(rest, 0) + 1
			name := nameOf(rest[:end])
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

// namedTwice returns a duplicate name in an object of the text, which must be valid JSON: decoders disagree which
// value of it counts.
func namedTwice(text []byte) (name string, is bool) {
	var open []map[string]bool // of the objects and lists that the place is in; nil for a list
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{':
			open = append(open, map[string]bool{})
		case '[':
			open = append(open, nil)
		case '}', ']':
			open = open[:len(open)-1]
		case '"':
			end := endOfText(text, i)
			rest := bytes.TrimLeft(text[end+1:], blank)
			if bytes.HasPrefix(rest, []byte(":")) {
				name = nameOf(text[i : end+1])
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

// after skips a delimiter and white space.
func after(text []byte, mark string) []byte {
	return bytes.TrimLeft(bytes.TrimPrefix(bytes.TrimLeft(text, blank), []byte(mark)), blank)
}

func endOfValue(text []byte) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			i = endOfText(text, i)
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

func nameOf(quoted []byte) string {
	if !bytes.ContainsRune(quoted, '\\') {
		return string(quoted[1 : len(quoted)-1])
	}
	var name string
	_ = json.Unmarshal(quoted, &name) // it is a valid text
	return name
}
