package sqldb

import (
	"context"
	"database/sql"
	"fmt"
)

// Row is a row to scan: *sql.Row or *sql.Rows.
type Row interface {
	Scan(dest ...any) error
}

// Source executes queries: DB.Read or a Tx.
type Source interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Reader executes queries outside of a transaction.
type Reader struct{ pool *sql.DB }

// QueryContext executes a query. Collect reads its rows.
func (r Reader) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	rows, err := r.pool.QueryContext(ctx, query, args...)
	return rows, translate(err)
}

// QueryRowContext executes a query of at most one row.
func (r Reader) QueryRowContext(ctx context.Context, query string, args ...any) Row {
	return translatedRow{r.pool.QueryRowContext(ctx, query, args...)}
}

type translatedRow struct{ row *sql.Row }

func (r translatedRow) Scan(dest ...any) error { return translate(r.row.Scan(dest...)) }

// Select scans all rows of a query.
func Select[T any](ctx context.Context, from Source, scan func(Row) (T, error), query string, args ...any) ([]T, error) {
	rows, err := from.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("query: %w", translate(err))
	}
	return Collect(rows, scan)
}

// Collect scans all rows and closes them.
func Collect[T any](rows *sql.Rows, scan func(Row) (T, error)) ([]T, error) {
	defer func() { _ = rows.Close() }() // Err returns the same error
	var all []T
	for rows.Next() {
		item, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("scan: %w", err)
		}
		all = append(all, item)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read rows: %w", translate(err))
	}
	return all, nil
}

// Text scans a row with one text column.
func Text(row Row) (string, error) {
	var text string
	err := row.Scan(&text)
	return text, err
}
