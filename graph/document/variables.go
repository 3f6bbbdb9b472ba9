package document

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/sluicehq/sluice/graph/scalar"
	"github.com/sluicehq/sluice/internal/errs"
)

// CheckVariables refuses variables that are not of their declared types (section 6.1.2 of the specification).
// gqlparser's check accepts enums in any letter case, numbers as strings, strings as numbers, any value of our own
// scalars, and null for a non-null position with a default.
func (p *Prepared) CheckVariables(variables map[string]any) error {
	for _, definition := range p.operation.VariableDefinitions {
		if err := checkValue(p.schema, definition.Type, variables[definition.Variable], "$"+definition.Variable); err != nil {
			return err
		}
	}
	for _, name := range p.neverNull {
		if v, given := variables[name]; given && v == nil {
			return fmt.Errorf("$%s is null in a non-null position: set a value, or omit it for its default", name)
		}
	}
	return nil
}

func checkValue(schema *ast.Schema, declared *ast.Type, v any, at string) error {
	if v == nil {
		return nil
	}
	if declared.Elem != nil {
		for i, item := range graphql.CoerceList(v) {
			if err := checkValue(schema, declared.Elem, item, fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
		return nil
	}
	definition := schema.Types[declared.NamedType]
	switch definition.Kind {
	case ast.InputObject:
		return checkFields(schema, definition, v, at)
	case ast.Enum:
		text, ok := v.(string)
		if !ok || !slices.ContainsFunc(definition.EnumValues, func(e *ast.EnumValueDefinition) bool { return e.Name == text }) {
			return fmt.Errorf("%s is not a %s", at, definition.Name)
		}
		return nil
	}
	if err := checkScalar(definition.Name, v); err != nil {
		return fmt.Errorf("%s: %s", at, errs.From(err).Message)
	}
	return nil
}

func checkFields(schema *ast.Schema, definition *ast.Definition, v any, at string) error {
	values, ok := v.(map[string]any)
	if !ok {
		return fmt.Errorf("%s is not a %s", at, definition.Name)
	}
	for _, field := range definition.Fields {
		if err := checkValue(schema, field.Type, values[field.Name], at+"."+field.Name); err != nil {
			return err
		}
	}
	return nil
}

func checkScalar(name string, v any) error {
	var err error
	ok := true
	switch name {
	case "Int":
		_, err = scalar.UnmarshalInt(v)
	case "Float":
		_, err = scalar.UnmarshalFloat(v)
	case "DateTime":
		_, err = scalar.UnmarshalDateTime(v)
	case "Cursor":
		_, err = scalar.UnmarshalCursor(v)
	case "String":
		_, ok = v.(string)
	case "Boolean":
		_, ok = v.(bool)
	case "ID":
		ok = isID(v)
	}
	if !ok {
		return errs.New(errs.InvalidArgument, errs.ReasonInvalidField, "the value is not a %s", name)
	}
	return err
}

// isID accepts strings and integers (section 3.5.5).
func isID(v any) bool {
	switch v := v.(type) {
	case string, int, int64:
		return true
	case json.Number:
		return !strings.ContainsAny(v.String(), ".eE")
	}
	return false
}
