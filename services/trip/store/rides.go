package store

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/trip"
)

const plannedColumns = "trip_id, vehicle_id, account_id, start_at"

// PlanRide stores a planned ride: see trip.Store.
func (s *Store) PlanRide(ctx context.Context, r trip.VehicleRide, due time.Time) error {
	row := []any{r.TripID, r.VehicleID, r.AccountID, sqldb.Micros(r.StartedAt), sqldb.Micros(due)}
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Insert(ctx, "planned_rides", plannedColumns+", due_at", [][]any{row}, "")
		return err
	})
	if err != nil {
		return fmt.Errorf("plan a ride: %w", err)
	}
	return nil
}

// DropPlan deletes a planned ride: see trip.Store.
func (s *Store) DropPlan(ctx context.Context, tripID string) error {
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := dropPlan(ctx, tx, tripID)
		return err
	})
	if err != nil {
		return fmt.Errorf("drop a planned ride: %w", err)
	}
	return nil
}

func dropPlan(ctx context.Context, tx *sqldb.Tx, tripID string) (dropped bool, err error) {
	return sqldb.Affects(tx.ExecContext(ctx, `DELETE FROM planned_rides WHERE trip_id = $1`, tripID))
}

// takePlan deletes the planned ride of a trip that is being created.
func takePlan(ctx context.Context, tx *sqldb.Tx, tripID string) error {
	dropped, err := dropPlan(ctx, tx, tripID)
	if err != nil {
		return fmt.Errorf("drop a planned ride: %w", err)
	}
	if !dropped {
		return errs.New(errs.Aborted, errs.ReasonVersionConflict, "the start of the trip took too long: start it again")
	}
	return nil
}

// Plans returns planned rides: see trip.Store.
func (s *Store) Plans(ctx context.Context, now time.Time, limit int) ([]trip.VehicleRide, error) {
	return s.plans(ctx, `due_at <= $1 ORDER BY due_at LIMIT $2`, sqldb.Micros(now), limit)
}

// Planned returns whether a ride is planned: see trip.Store.
func (s *Store) Planned(ctx context.Context, tripID string) (bool, error) {
	found, err := s.plans(ctx, `trip_id = $1`, tripID)
	return len(found) > 0, err
}

func (s *Store) plans(ctx context.Context, condition string, args ...any) ([]trip.VehicleRide, error) {
	found, err := sqldb.Select(ctx, s.db.Read(), func(row sqldb.Row) (r trip.VehicleRide, err error) {
		var start int64
		err = row.Scan(&r.TripID, &r.VehicleID, &r.AccountID, &start)
		r.StartedAt = sqldb.Time(start)
		return r, err
	}, `SELECT `+plannedColumns+` FROM planned_rides WHERE `+condition, args...)
	if err != nil {
		return nil, fmt.Errorf("read planned rides: %w", err)
	}
	return found, nil
}

// DueRides lists trips whose ride is due: see trip.Store.
func (s *Store) DueRides(ctx context.Context, now time.Time, limit int) ([]trip.Trip, error) {
	return s.query(ctx, ` WHERE ride_due <= $1 ORDER BY ride_due DESC LIMIT $2`, []any{sqldb.Micros(now), limit})
}

// SetRideDue replaces the time at which a ride is due: see trip.Store.
func (s *Store) SetRideDue(ctx context.Context, id string, from time.Time, to *time.Time) error {
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE trips SET ride_due = $1 WHERE id = $2 AND ride_due = $3`, sqldb.NullMicros(to), id, sqldb.Micros(from))
		return err
	})
	if err != nil {
		return fmt.Errorf("set when the ride of trip %s is due: %w", id, err)
	}
	return nil
}
