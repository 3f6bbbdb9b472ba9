package sqldb

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
)

// maxArguments bounds the arguments of one insert. SQLite treats $1 as a name and searches it among all names, so the
// time grows with the square of the arguments. With rows of 9 columns, batches of 20 rows are three times as fast as
// batches of 100, and twice as fast as single rows.
const maxArguments = 200

// Insert inserts rows with a value for each of the columns ("id, name"), in batches, and returns their number.
// onConflict, as in "ON CONFLICT DO NOTHING" or "", defines what happens to duplicates.
func (tx *Tx) Insert(ctx context.Context, table, columns string, rows [][]any, onConflict string) (inserted int64, err error) {
	for len(rows) > 0 {
		statement, arguments, n := insertStatement(table, columns, rows, onConflict)
		done, err := tx.ExecContext(ctx, statement, arguments...)
		if err != nil {
			return 0, fmt.Errorf("insert into %s: %w", table, err)
		}
		more, err := done.RowsAffected()
		if err != nil {
			return 0, fmt.Errorf("insert into %s: %w", table, err)
		}
		inserted += more
		rows = rows[n:]
	}
	return inserted, nil
}

// InsertReturning is Insert, and scans the columns of each inserted row. It is slower than Insert.
func (tx *Tx) InsertReturning(ctx context.Context, table, columns string, rows [][]any, onConflict, returning string, scan func(Row) error) error {
	for len(rows) > 0 {
		statement, arguments, n := insertStatement(table, columns, rows, onConflict)
		_, err := Select(ctx, tx, func(row Row) (struct{}, error) { return struct{}{}, scan(row) }, statement+` RETURNING `+returning, arguments...)
		if err != nil {
			return fmt.Errorf("insert into %s: %w", table, err)
		}
		rows = rows[n:]
	}
	return nil
}

// insertStatement returns an insert of the first n rows.
func insertStatement(table, columns string, rows [][]any, onConflict string) (statement string, arguments []any, n int) {
	width := len(rows[0])
	n = min(len(rows), max(1, maxArguments/width))
	arguments = make([]any, 0, n*width)
	for _, row := range rows[:n] {
		arguments = append(arguments, row...)
	}
	return `INSERT INTO ` + table + ` (` + columns + `) VALUES ` + Tuples(n, width) + ` ` + onConflict, arguments, n
}

// Tuples returns placeholders for rows of width values: ($1, $2), ($3, $4).
func Tuples(rows, width int) string {
	var out strings.Builder
	for i := range rows * width {
		switch {
		case i == 0:
			out.WriteString("($")
		case i%width == 0:
			out.WriteString("), ($")
		default:
			out.WriteString(", $")
		}
		out.WriteString(strconv.Itoa(i + 1))
	}
	out.WriteByte(')')
	return out.String()
}

// Affects reports whether a statement changed a row, from the results of ExecContext.
func Affects(result sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}
