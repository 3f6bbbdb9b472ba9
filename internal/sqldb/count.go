package sqldb

import (
	"context"
	"fmt"

	"github.com/sluicehq/sluice/internal/page"
)

// Total counts the rows of a table if the request asks for it; otherwise it returns nil.
func (db *DB) Total(ctx context.Context, request page.Request, table string, where Where) (*int64, error) {
	if !request.WithTotal {
		return nil, nil
	}
	var n int64
	if err := db.Read().QueryRowContext(ctx, `SELECT COUNT(*) FROM `+table+where.SQL(), where.Args()...).Scan(&n); err != nil {
		return nil, fmt.Errorf("count %s: %w", table, err)
	}
	return &n, nil
}

// Counts counts the rows of a table for each existing value of the column.
func (db *DB) Counts(ctx context.Context, table, column string, where Where) (map[string]int64, error) {
	type count struct {
		value string
		n     int64
	}
	all, err := Select(ctx, db.Read(), func(row Row) (count, error) {
		var c count
		err := row.Scan(&c.value, &c.n)
		return c, err
	}, `SELECT `+column+`, COUNT(*) FROM `+table+where.SQL()+` GROUP BY `+column, where.Args()...)
	if err != nil {
		return nil, fmt.Errorf("count %s: %w", table, err)
	}
	counts := make(map[string]int64, len(all))
	for _, c := range all {
		counts[c.value] = c.n
	}
	return counts, nil
}
