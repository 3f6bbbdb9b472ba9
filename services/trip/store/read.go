package store

import (
	"context"
	"fmt"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/trip"
)

// newest is the one order of trips.
const newest = "trips/newest"

// Get gives trips by id: see trip.Store.
func (s *Store) Get(ctx context.Context, ids []string) ([]trip.Trip, error) {
	var w sqldb.Where
	w.In("id", ids)
	return s.query(ctx, w.SQL(), w.Args())
}

// Open gives open trips by vehicle or account: see trip.Store.
func (s *Store) Open(ctx context.Context, vehicleIDs, accountIDs []string) ([]trip.Trip, error) {
	var w sqldb.Where
	w.And("id IN (" + openBy(&w, "vehicle_id", vehicleIDs) + " UNION " + openBy(&w, "account_id", accountIDs) + ")")
	return s.query(ctx, w.SQL(), w.Args())
}

// openBy finds the ids of open trips through a partial index: a query each, with the status as the
// index says it, so that both engines see that it applies.
func openBy(w *sqldb.Where, column string, values []string) string {
	marks := make([]string, len(values))
	for i, value := range values {
		marks[i] = w.Arg(value)
	}
	if len(marks) == 0 {
		marks = []string{"NULL"} // which no column equals
	}
	return `SELECT id FROM trips WHERE status IN ('UNLOCKING', 'IN_PROGRESS') AND ` + column + ` IN (` + list(marks) + `)`
}

// List gives a page of trips: see trip.Store.
func (s *Store) List(ctx context.Context, filter trip.Filter, request page.Request) (page.Page[trip.Trip], error) {
	size, err := request.Size()
	if err != nil {
		return page.Page[trip.Trip]{}, err
	}
	w := where(filter)
	total, err := s.total(ctx, w, request.WithTotal)
	if err != nil {
		return page.Page[trip.Trip]{}, err
	}
	if err := after(&w, request.After); err != nil {
		return page.Page[trip.Trip]{}, err
	}
	condition := w.SQL()
	trips, err := s.query(ctx, condition+` ORDER BY start_at DESC, id DESC LIMIT `+w.Arg(size+1), w.Args())
	if err != nil {
		return page.Page[trip.Trip]{}, err
	}
	cut := page.Cut(trips, size, func(t trip.Trip) page.Cursor { return page.AtTime(newest, t.Start.At, t.ID) })
	cut.Total = total
	return cut, nil
}

func where(filter trip.Filter) sqldb.Where {
	var w sqldb.Where
	if len(filter.AccountIDs) > 0 {
		w.In("account_id", filter.AccountIDs)
	}
	if len(filter.VehicleIDs) > 0 {
		w.In("vehicle_id", filter.VehicleIDs)
	}
	if len(filter.Statuses) > 0 {
		statuses := make([]string, len(filter.Statuses))
		for i, status := range filter.Statuses {
			statuses[i] = string(status)
		}
		w.In("status", statuses)
	}
	if filter.StartedFrom != nil {
		w.And("start_at >= ?", sqldb.Micros(*filter.StartedFrom))
	}
	if filter.StartedBefore != nil {
		w.And("start_at < ?", sqldb.Micros(*filter.StartedBefore))
	}
	return w
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
	if ids.Check(ids.Trip, c.ID) != nil {
		return errs.Invalid("after", "is not a cursor of this list")
	}
	w.And("(start_at, id) < (?, ?)", at, c.ID)
	return nil
}

func (s *Store) total(ctx context.Context, w sqldb.Where, wanted bool) (*int64, error) {
	if !wanted {
		return nil, nil
	}
	var n int64
	if err := s.db.Read().QueryRowContext(ctx, `SELECT COUNT(*) FROM trips`+w.SQL(), w.Args()...).Scan(&n); err != nil {
		return nil, fmt.Errorf("count trips: %w", err)
	}
	return &n, nil
}

func (s *Store) query(ctx context.Context, rest string, args []any) ([]trip.Trip, error) {
	rows, err := s.db.Read().QueryContext(ctx, `SELECT `+columns+` FROM trips`+rest, args...)
	if err != nil {
		return nil, fmt.Errorf("read trips: %w", err)
	}
	trips, err := sqldb.Collect(rows, scanTrip)
	if err != nil {
		return nil, fmt.Errorf("read trips: %w", err)
	}
	return trips, nil
}
