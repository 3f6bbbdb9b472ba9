package store

import (
	"context"
	"fmt"

	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/activity"
)

// newest returns the order of all lists of activities.
func newest() sqldb.Newest {
	return sqldb.Newest{Name: "activities/newest", Column: "started_at", Kind: ids.Activity}
}

// Get implements activity.Store.
func (s *Store) Get(ctx context.Context, ids []string, visible entity.Visibility) ([]activity.Activity, error) {
	var w sqldb.Where
	w.In("id", ids)
	narrow(&w, visible)
	return s.query(ctx, `SELECT `+columns+` FROM activities`+w.SQL(), w.Args())
}

// List implements activity.Store.
func (s *Store) List(ctx context.Context, selection activity.Selection, request page.Request) (page.Page[activity.Activity], error) {
	size, err := request.Size()
	if err != nil {
		return page.Page[activity.Activity]{}, err
	}
	w := where(selection.Filter)
	counted := where(selection.Filter)
	narrow(&counted, selection.Visible)
	total, err := s.db.Total(ctx, request, "activities", counted)
	if err != nil {
		return page.Page[activity.Activity]{}, err
	}
	if err := newest().After(&w, request.After); err != nil {
		return page.Page[activity.Activity]{}, err
	}
	query := newestVisible(columns, &w, selection.Visible)
	activities, err := s.query(ctx, query+` LIMIT `+w.Arg(size+1), w.Args())
	if err != nil {
		return page.Page[activity.Activity]{}, err
	}
	cut := page.Cut(activities, size, func(a activity.Activity) page.Cursor { return newest().Cursor(a.StartedAt, a.ID) })
	cut.Total = total
	return cut, nil
}

// Sum implements activity.Store.
func (s *Store) Sum(ctx context.Context, selection activity.Selection) (sum float64, count int64, err error) {
	w := where(selection.Filter)
	narrow(&w, selection.Visible)
	err = s.db.Read().QueryRowContext(ctx, `SELECT COALESCE(SUM(amount), 0), COUNT(amount) FROM activities`+w.SQL(), w.Args()...).Scan(&sum, &count)
	if err != nil {
		return 0, 0, fmt.Errorf("add up amounts: %w", err)
	}
	return sum, count, nil
}

// Amounts implements activity.Store.
func (s *Store) Amounts(ctx context.Context, selection activity.Selection, visit func(activity.Amount) error) error {
	w := where(selection.Filter)
	w.And("amount IS NOT NULL")
	query := newestVisible("id, started_at, amount, version", &w, selection.Visible)
	rows, err := s.db.Read().QueryContext(ctx, query, w.Args()...)
	if err != nil {
		return fmt.Errorf("read amounts: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err returns the same error
	for rows.Next() {
		var a activity.Amount
		var started int64
		if err := rows.Scan(&a.ActivityID, &started, &a.Value, &a.Version); err != nil {
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
	activities, err := sqldb.Select(ctx, s.db.Read(), scan, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read activities: %w", err)
	}
	return activities, nil
}
