package sqldb

import (
	"strconv"
	"strings"
)

// Where gathers the conditions of a query and their arguments. The zero Where holds for every row.
type Where struct {
	conditions []string
	args       []any
}

// And adds a condition, whose question marks stand for args in order.
func (w *Where) And(condition string, args ...any) {
	for _, arg := range args {
		condition = strings.Replace(condition, "?", w.Arg(arg), 1)
	}
	w.conditions = append(w.conditions, condition)
}

// In adds the condition that the column is one of the values; no values hold for no row.
func (w *Where) In(column string, values []string) {
	if len(values) == 0 {
		w.conditions = append(w.conditions, "1 = 0")
		return
	}
	marks := make([]string, len(values))
	for i, value := range values {
		marks[i] = w.Arg(value)
	}
	w.conditions = append(w.conditions, column+" IN ("+strings.Join(marks, ", ")+")")
}

// Narrow adds In when there are values: no values hold for every row.
func Narrow[T ~string](w *Where, column string, values []T) {
	if len(values) > 0 {
		w.In(column, Texts(values))
	}
}

// Contains adds the condition that the column, which holds what Fold gives, has the text in it,
// whatever the case.
func (w *Where) Contains(column, text string) {
	literal := strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(Fold(text))
	w.And(column+` LIKE ? ESCAPE '\'`, "%"+literal+"%")
}

// Fold is text as it is searched, whatever the case: the engines differ in what LOWER knows.
func Fold(text string) string { return strings.ToLower(text) }

// Arg adds an argument and gives its placeholder, for parts of a query outside of the conditions.
func (w *Where) Arg(value any) string {
	w.args = append(w.args, value)
	return "$" + strconv.Itoa(len(w.args))
}

// SQL is " WHERE …", or "" when every row will do.
func (w *Where) SQL() string {
	if len(w.conditions) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.conditions, " AND ")
}

// Args are the arguments of all placeholders so far.
func (w *Where) Args() []any { return w.args }
