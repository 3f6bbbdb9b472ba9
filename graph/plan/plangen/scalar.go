package plangen

import (
	"fmt"
	"go/types"
	"strings"

	"github.com/99designs/gqlgen/codegen/config"
	"github.com/99designs/gqlgen/codegen/templates"
	"github.com/vektah/gqlparser/v2/ast"
)

const gqlgenPackage = "github.com/99designs/gqlgen/graphql"

// Write returns the body of a type's writer. It follows gqlgen's type.gotpl case by case.
func (g *generator) Write(ref *config.TypeReference) string {
	nilCheck := "if v == nil {\nreturn false\n}\n"
	switch {
	case ref.IsPtrToSlice(), ref.IsPtrToIntf(), ref.IsPtrToPtr() && ref.Marshaler == nil && !ref.IsMarshaler:
		return nilCheck + fmt.Sprintf("return %s(w, n, *v)", writer(ref.Elem()))
	case ref.IsSlice() && ref.GQL.NonNull:
		return list(ref)
	case ref.IsSlice():
		return nilCheck + list(ref)
	case !ref.IsNilable():
		return one(ref)
	case ref.GQL.NonNull:
		return "if v == nil {\nreturn w.Missing()\n}\n" + one(ref)
	}
	return nilCheck + one(ref)
}

func list(ref *config.TypeReference) string {
	elem := ref.Elem()
	if byValue(elem) {
		return fmt.Sprintf("return plan.Structs(w, n, v, %t, %s)", elem.GQL.NonNull, writer(elem))
	}
	return fmt.Sprintf("return plan.List(w, n, v, %t, %t, %s)", ref.IsScalar(), elem.GQL.NonNull, writer(elem))
}

func one(ref *config.TypeReference) string {
	switch {
	case ref.IsMarshaler && ref.IsContext:
		return "return w.MarshalContext(v)"
	case ref.IsMarshaler && types.IsInterface(ref.GO):
		return "return w.Marshal(v)"
	case ref.IsMarshaler:
		return "v.MarshalGQL(w)\nreturn true"
	case ref.Marshaler != nil:
		return scalar(ref)
	case ref.Definition.Kind == ast.Object:
		return fmt.Sprintf("return w.Object(n, %s, v)", typeID(ref.Definition.Name))
	}
	return fmt.Sprintf("return planAny%s(w, n, v)", ref.Definition.Name)
}

func scalar(ref *config.TypeReference) string {
	value := "v"
	switch {
	case ref.IsTargetNilable() && !ref.IsNilable():
		value = "&v"
	case !ref.IsTargetNilable() && ref.IsNilable():
		value = "*v"
	}
	switch {
	case ref.HasEnumValues():
		value = fmt.Sprintf("%s[%s]", ref.EnumMarshalVar(false), value)
	case ref.CastType != nil:
		value = fmt.Sprintf("%s(%s)", lookup(ref.CastType), value)
	}
	if known := knownScalar(ref, value); known != "" {
		return "return " + known
	}
	orMissing := ""
	if ref.GQL.NonNull {
		orMissing = " || w.Missing()"
	}
	if appender := appender(ref); appender != "" {
		return fmt.Sprintf("return plan.Append(w, %s, %s)%s", value, appender, orMissing)
	}
	marshal := fmt.Sprintf("%s(%s)", templates.Call(ref.Marshaler), value)
	switch {
	case !ref.IsContext:
		return fmt.Sprintf("return w.Marshal(%s)%s", marshal, orMissing)
	case ref.GQL.NonNull:
		return fmt.Sprintf("m := %s\nif plan.IsNull(m) {\nw.Missing()\n}\nreturn w.MarshalContext(m)", marshal)
	}
	return fmt.Sprintf("return w.MarshalContext(%s)", marshal)
}

// knownScalar returns code that writes one of gqlgen's own scalars without its marshaller.
func knownScalar(ref *config.TypeReference, value string) string {
	if ref.Marshaler.Pkg().Path() != gqlgenPackage {
		return ""
	}
	switch ref.Marshaler.Name() {
	case "MarshalString", "MarshalID":
		return "w.String(" + value + ")"
	case "MarshalInt", "MarshalInt8", "MarshalInt16", "MarshalInt32", "MarshalInt64":
		return "w.Int(int64(" + value + "))"
	case "MarshalBoolean":
		return "w.Bool(" + value + ")"
	case "MarshalFloat":
		return "w.Float(" + value + ")"
	case "MarshalFloatContext":
		return "w.FloatContext(" + value + ")"
	}
	return ""
}

// appender returns the name of AppendX beside MarshalX; "" when there is none.
func appender(ref *config.TypeReference) string {
	if ref.IsContext {
		return ""
	}
	name := "Append" + strings.TrimPrefix(ref.Marshaler.Name(), "Marshal")
	fn, ok := ref.Marshaler.Pkg().Scope().Lookup(name).(*types.Func)
	if !ok {
		return ""
	}
	signature := fn.Type().(*types.Signature)
	if signature.Params().Len() != 2 || signature.Results().Len() != 2 || signature.Params().At(0).Type().String() != "[]byte" {
		return ""
	}
	return templates.Call(fn)
}
