package twin

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// budget bounds the comparisons of a value with a schema. Short schemas that refer to each other can require an
// unbounded number.
type budget int

const (
	maxCost      = 20_000_000 // some tenths of a second
	costPerCheck = 100        // of one comparison, without its parts
)

var errTooMuch = errors.New("too much to compare")

// maxExponent bounds numbers, which are compared exactly.
const maxExponent = 4 // digits

var errVast = fmt.Errorf("its exponent has more than %d digits", maxExponent)

func (e *budget) over() bool { return *e > maxCost }

// watch counts every comparison with a schema before it runs: it is called for each compiled schema, and replaces its
// format, which the library checks first.
func (e *budget) watch(ctx *jsonschema.CompilerContext, parts map[string]any) (jsonschema.SchemaExt, error) {
	schema, size := ctx.Enqueue(nil), sizeOf(parts)
	format := schema.Format
	schema.Format = &jsonschema.Format{Name: "effort", Validate: func(v any) error {
		*e += budget(costPerCheck + size*(1+extentOf(v)))
		switch {
		case e.over():
			return errTooMuch // stops before the parts
		case format != nil:
			return format.Validate(v)
		}
		return nil
	}}
	if format != nil {
		schema.Format.Name = format.Name
	}
	return nil, nil
}

func sizeOf(v any) int {
	size := 1
	switch v := v.(type) {
	case map[string]any:
		for _, part := range v {
			size += sizeOf(part)
		}
	case []any:
		for _, part := range v {
			size += sizeOf(part)
		}
	}
	return size
}

// extentOf bounds the parts of a value that a schema alone compares.
func extentOf(v any) int {
	switch v := v.(type) {
	case map[string]any:
		return len(v)
	case []any:
		return len(v)
	case string:
		return len(v) / 64 // for a pattern
	}
	return 0
}

// isVast reports whether the value has a number with a long exponent.
func isVast(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for _, part := range v {
			if isVast(part) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, isVast)
	case json.Number:
		if at := strings.IndexAny(v.String(), "eE"); at >= 0 {
			return len(strings.TrimLeft(v.String()[at+1:], "+-0")) > maxExponent
		}
	}
	return false
}
