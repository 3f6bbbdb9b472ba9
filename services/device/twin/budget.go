package twin

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// effort is what it takes to compare a value with a schema. Schemas that refer to each other can be of
// a few lines and ask for more comparisons than can ever be made.
type budget int

const (
	maxCost      = 20_000_000 // some tenths of a second
	costPerCheck = 100        // a comparison, beside its parts
)

var errTooMuch = errors.New("too much to compare")

// maxExponent bounds the numbers that are compared, which is done to the last digit.
const maxExponent = 4 // digits

var errVast = fmt.Errorf("its exponent has more than %d digits", maxExponent)

func (e *budget) over() bool { return *e > maxCost }

// watch has every comparison with a schema counted before any part of it runs: it is called for each
// schema that is compiled, and replaces its format, which the library checks first.
func (e *budget) watch(ctx *jsonschema.CompilerContext, parts map[string]any) (jsonschema.SchemaExt, error) {
	schema, size := ctx.Enqueue(nil), sizeOf(parts)
	format := schema.Format
	schema.Format = &jsonschema.Format{Name: "effort", Validate: func(v any) error {
		*e += budget(costPerCheck + size*(1+extentOf(v)))
		switch {
		case e.over():
			return errTooMuch // which leaves out its parts
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

// sizeOf counts the values of a schema.
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

// extentOf is how much of a value a schema can look at by itself.
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

// isVast reports whether there is a number with a long exponent in the value.
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
