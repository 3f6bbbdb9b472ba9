package sqldb

import (
	"database/sql"
	"fmt"
)

// Row is a row to scan: *sql.Row and *sql.Rows.
type Row interface {
	Scan(dest ...any) error
}

// Collect scans all rows and closes them.
func Collect[T any](rows *sql.Rows, scan func(Row) (T, error)) ([]T, error) {
	defer func() { _ = rows.Close() }() // Err tells what Close would
	var all []T
	for rows.Next() {
		item, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("scan: %w", err)
		}
		all = append(all, item)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read rows: %w", err)
	}
	return all, nil
}
