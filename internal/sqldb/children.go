package sqldb

import (
	"context"
	"fmt"

	"github.com/sluicehq/sluice/internal/page"
)

// Children describes a table whose rows are listed by parent.
type Children[T any] struct {
	Table, Columns string
	Parent         string // the column with the id of the parent
	Order          Newest
	Scan           func(Row) (T, error)
	ParentOf       func(T) string
	CursorOf       func(T) page.Cursor
}

// Pages reads one page for each parent that has rows, by one query. The cursor of the request applies to every
// parent.
func (c Children[T]) Pages(ctx context.Context, db *DB, where Where, request page.Request) (map[string]page.Page[T], error) {
	size, err := request.Size()
	if err != nil {
		return nil, err
	}
	var totals map[string]int64
	if request.WithTotal {
		if totals, err = db.Counts(ctx, c.Table, c.Parent, where); err != nil {
			return nil, err
		}
	}
	if err := c.Order.After(&where, request.After); err != nil {
		return nil, err
	}
	first := c.first(where.SQL(), where.Arg(size+1))
	rows, err := Select(ctx, db.read, c.Scan, first, where.Args()...)
	if err != nil {
		return nil, fmt.Errorf("read pages of %s: %w", c.Table, err)
	}
	return c.cut(rows, size, totals), nil
}

// PagesOf reads one page for each of the parents. A parent without rows has an empty page.
func (c Children[T]) PagesOf(ctx context.Context, db *DB, parents []string, request page.Request) (map[string]page.Page[T], error) {
	empty, err := page.Empty[T](request)
	if err != nil {
		return nil, err
	}
	var w Where
	w.In(c.Parent, parents)
	pages, err := c.Pages(ctx, db, w, request)
	if err != nil {
		return nil, err
	}
	for _, parent := range parents {
		if _, ok := pages[parent]; !ok {
			pages[parent] = empty
		}
	}
	return pages, nil
}

func (c Children[T]) first(condition, limit string) string {
	return `SELECT ` + c.Columns + ` FROM (SELECT ` + c.Columns + `,
			ROW_NUMBER() OVER (PARTITION BY ` + c.Parent + c.Order.SQL() + `) AS place
			FROM ` + c.Table + condition + `
		) AS ranked WHERE place <= ` + limit + ` ORDER BY ` + c.Parent + `, place`
}

func (c Children[T]) cut(rows []T, size int, totals map[string]int64) map[string]page.Page[T] {
	byParent := map[string][]T{}
	for parent := range totals { // a parent without rows after the cursor has a total too
		byParent[parent] = nil
	}
	for _, row := range rows {
		parent := c.ParentOf(row)
		byParent[parent] = append(byParent[parent], row)
	}
	pages := make(map[string]page.Page[T], len(byParent))
	for parent, own := range byParent {
		p := page.Cut(own, size, c.CursorOf)
		if totals != nil {
			total := totals[parent]
			p.Total = &total
		}
		pages[parent] = p
	}
	return pages
}
