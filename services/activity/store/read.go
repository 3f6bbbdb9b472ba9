package store

import (
	"context"
	"fmt"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/activity"
)

// newest is the one order of activities.
const newest = "activities/newest"

// Get gives activities by id: see activity.Store.
func (s *Store) Get(ctx context.Context, ids []string, sight activity.Sight) ([]activity.Activity, error) {
	var w sqldb.Where
	w.In("id", ids)
	seen(&w, sight)
	return s.query(ctx, `SELECT `+list(columns())+` FROM activities`+w.SQL(), w.Args())
}

// List gives a page of activities: see activity.Store.
func (s *Store) List(ctx context.Context, selection activity.Selection, request page.Request) (page.Page[activity.Activity], error) {
	size, err := request.Size()
	if err != nil {
		return page.Page[activity.Activity]{}, err
	}
	w := where(selection.Filter)
	if err := after(&w, request.After); err != nil {
		return page.Page[activity.Activity]{}, err
	}
	total, err := s.total(ctx, selection, request.WithTotal)
	if err != nil {
		return page.Page[activity.Activity]{}, err
	}
	query := newestSeen(list(columns()), &w, selection.Sight)
	activities, err := s.query(ctx, query+` LIMIT `+w.Arg(size+1), w.Args())
	if err != nil {
		return page.Page[activity.Activity]{}, err
	}
	cut := page.Cut(activities, size, func(a activity.Activity) page.Cursor { return page.AtTime(newest, a.StartedAt, a.ID) })
	cut.Total = total
	return cut, nil
}

// after starts the page behind the cursor.
func after(w *sqldb.Where, cursor string) error {
	c, ok, err := page.ParseCursor(newest, cursor)
	if err != nil || !ok {
		return err
	}
	at, err := c.Micros()
	if err != nil {
		return err
	}
	if ids.Check(ids.Activity, c.ID) != nil {
		return errs.Invalid("after", "is not a cursor of this list")
	}
	w.And("(started_at, id) < (?, ?)", at, c.ID)
	return nil
}

func (s *Store) total(ctx context.Context, selection activity.Selection, wanted bool) (*int64, error) {
	if !wanted {
		return nil, nil
	}
	w := where(selection.Filter)
	seen(&w, selection.Sight)
	var n int64
	if err := s.db.Read().QueryRowContext(ctx, `SELECT COUNT(*) FROM activities`+w.SQL(), w.Args()...).Scan(&n); err != nil {
		return nil, fmt.Errorf("count activities: %w", err)
	}
	return &n, nil
}

// Sum adds up amounts: see activity.Store.
func (s *Store) Sum(ctx context.Context, selection activity.Selection) (sum float64, count int64, err error) {
	w := where(selection.Filter)
	seen(&w, selection.Sight)
	err = s.db.Read().QueryRowContext(ctx, `SELECT COALESCE(SUM(amount), 0), COUNT(amount) FROM activities`+w.SQL(), w.Args()...).Scan(&sum, &count)
	if err != nil {
		return 0, 0, fmt.Errorf("add up amounts: %w", err)
	}
	return sum, count, nil
}

// Amounts visits amounts one by one: see activity.Store.
func (s *Store) Amounts(ctx context.Context, selection activity.Selection, visit func(activity.Amount) error) error {
	w := where(selection.Filter)
	w.And("amount IS NOT NULL")
	query := newestSeen("id, started_at, amount", &w, selection.Sight)
	rows, err := s.db.Read().QueryContext(ctx, query, w.Args()...)
	if err != nil {
		return fmt.Errorf("read amounts: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err tells what Close would
	for rows.Next() {
		var a activity.Amount
		var started int64
		if err := rows.Scan(&a.ActivityID, &started, &a.Value); err != nil {
			return fmt.Errorf("scan amount: %w", err)
		}
		a.StartedAt = sqldb.Time(started)
		if err := visit(a); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read amounts: %w", err)
	}
	return nil
}

func (s *Store) query(ctx context.Context, query string, args []any) ([]activity.Activity, error) {
	rows, err := s.db.Read().QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read activities: %w", err)
	}
	activities, err := sqldb.Collect(rows, scan)
	if err != nil {
		return nil, fmt.Errorf("read activities: %w", err)
	}
	return activities, nil
}
