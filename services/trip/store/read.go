package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/trip"
)

func newest() sqldb.Newest {
	return sqldb.Newest{Name: "trips/newest", Column: "start_at", Kind: ids.Trip}
}

// Get implements trip.Store.
func (s *Store) Get(ctx context.Context, ids []string) ([]trip.Trip, error) {
	var w sqldb.Where
	w.In("id", ids)
	return s.query(ctx, w.SQL(), w.Args())
}

// Open implements trip.Store.
func (s *Store) Open(ctx context.Context, vehicleIDs, accountIDs []string) ([]trip.Trip, error) {
	var w sqldb.Where
	w.And("id IN (" + openBy(&w, "vehicle_id", vehicleIDs) + " UNION " + openBy(&w, "account_id", accountIDs) + ")")
	return s.query(ctx, w.SQL(), w.Args())
}

// openBy selects ids of open trips. Its condition equals that of the partial index, so that both engines use the
// index.
func openBy(w *sqldb.Where, column string, values []string) string {
	marks := make([]string, len(values))
	for i, value := range values {
		marks[i] = w.Arg(value)
	}
	if len(marks) == 0 {
		marks = []string{"NULL"} // NULL equals no value
	}
	return `SELECT id FROM trips WHERE status IN ('UNLOCKING', 'IN_PROGRESS') AND ` + column + ` IN (` + strings.Join(marks, ", ") + `)`
}

// List implements trip.Store.
func (s *Store) List(ctx context.Context, filter trip.Filter, request page.Request) (page.Page[trip.Trip], error) {
	size, err := request.Size()
	if err != nil {
		return page.Page[trip.Trip]{}, err
	}
	w := where(filter)
	total, err := s.db.Total(ctx, request, "trips", w)
	if err != nil {
		return page.Page[trip.Trip]{}, err
	}
	if err := newest().After(&w, request.After); err != nil {
		return page.Page[trip.Trip]{}, err
	}
	trips, err := s.query(ctx, w.SQL()+newest().SQL()+` LIMIT `+w.Arg(size+1), w.Args())
	if err != nil {
		return page.Page[trip.Trip]{}, err
	}
	cut := page.Cut(trips, size, func(t trip.Trip) page.Cursor { return newest().Cursor(t.Start.At, t.ID) })
	cut.Total = total
	return cut, nil
}

func where(filter trip.Filter) sqldb.Where {
	var w sqldb.Where
	sqldb.Narrow(&w, "account_id", filter.AccountIDs)
	sqldb.Narrow(&w, "vehicle_id", filter.VehicleIDs)
	sqldb.Narrow(&w, "status", filter.Statuses)
	if filter.StartedFrom != nil {
		w.And("start_at >= ?", sqldb.Micros(*filter.StartedFrom))
	}
	if filter.StartedBefore != nil {
		w.And("start_at < ?", sqldb.Micros(*filter.StartedBefore))
	}
	return w
}

func (s *Store) query(ctx context.Context, rest string, args []any) ([]trip.Trip, error) {
	trips, err := sqldb.Select(ctx, s.db.Read(), scanTrip, `SELECT `+columns+` FROM trips`+rest, args...)
	if err != nil {
		return nil, fmt.Errorf("read trips: %w", err)
	}
	return trips, nil
}
