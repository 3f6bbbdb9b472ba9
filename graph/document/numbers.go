package document

import (
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/core"
)

// numbersInRange refuses a number that overflows in a value of the schema's own scalars, such as JSON. gqlparser's
// rule checks only standard scalars, and code that reads such a number panics.
func numbersInRange(observers *core.Events, addError core.AddErrFunc) {
	observers.OnValue(func(_ *core.Walker, value *ast.Value) {
		if value.Kind != ast.IntValue && value.Kind != ast.FloatValue {
			return
		}
		if value.Definition != nil && value.Definition.OneOf("Int", "Float", "String", "Boolean", "ID") {
			return // checked by gqlparser's rule
		}
		if _, err := value.Value(nil); err != nil {
			addError(core.Message("The number %.40s is too large: pass it in the variables.", value.Raw), core.At(value.Position))
		}
	})
}
