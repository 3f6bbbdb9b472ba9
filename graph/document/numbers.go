package document

import (
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/core"
)

// numbersCanBeRead refuses numbers within values of our own scalars, as in JSON, that no machine's number
// holds. The rule on values looks at those of the usual scalars alone, and whoever reads such a number
// afterwards panics.
func numbersCanBeRead(observers *core.Events, addError core.AddErrFunc) {
	observers.OnValue(func(_ *core.Walker, value *ast.Value) {
		if value.Kind != ast.IntValue && value.Kind != ast.FloatValue {
			return
		}
		if value.Definition != nil && value.Definition.OneOf("Int", "Float", "String", "Boolean", "ID") {
			return // of which the rule on values says so
		}
		if _, err := value.Value(nil); err != nil {
			addError(core.Message("The number %.40s is too large: give it in the variables.", value.Raw), core.At(value.Position))
		}
	})
}
