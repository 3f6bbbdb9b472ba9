package sqldb

import (
	"strconv"
	"strings"
)

// Where builds the conditions of a query with their arguments. The zero Where matches every row.
type Where struct {
	conditions []string
	args       []any
}

// And adds a condition. Its question marks are placeholders for args.
func (w *Where) And(condition string, args ...any) {
	for _, arg := range args {
		condition = strings.Replace(condition, "?", w.Arg(arg), 1)
	}
	w.conditions = append(w.conditions, condition)
}

// In adds the condition that the column equals one of the values; none match no row.
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

// Narrow is In, but no values match every row.
func Narrow[T ~string](w *Where, column string, values []T) {
	if len(values) > 0 {
		w.In(column, Texts(values))
	}
}

// Contains adds the condition that the column, with values of Fold, contains the text in any case.
func (w *Where) Contains(column, text string) {
	literal := strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(Fold(text))
	w.And(column+` LIKE ? ESCAPE '\'`, "%"+literal+"%")
}

// Fold converts text for a case-insensitive search, in Go because the engines differ in LOWER.
func Fold(text string) string { return strings.ToLower(text) }

// Arg adds an argument and returns its placeholder, for other parts of a query.
func (w *Where) Arg(value any) string {
	w.args = append(w.args, value)
	return "$" + strconv.Itoa(len(w.args))
}

// SQL returns " WHERE …", or "" without conditions.
func (w *Where) SQL() string {
	if len(w.conditions) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.conditions, " AND ")
}

// Args returns the arguments of all placeholders so far.
func (w *Where) Args() []any { return w.args }
