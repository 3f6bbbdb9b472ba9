package store

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/trip"
)

// DueTasks implements trip.Store.
func (s *Store) DueTasks(ctx context.Context, now time.Time, limit int) ([]trip.Trip, error) {
	return s.query(ctx, ` WHERE errand_at <= $1 ORDER BY errand_at LIMIT $2`, []any{sqldb.Micros(now), limit})
}

// SetTask implements trip.Store.
func (s *Store) SetTask(ctx context.Context, id string, from, to trip.VehicleTask, due *time.Time) error {
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE trips SET errand = $1, errand_at = $2 WHERE id = $3 AND errand = $4`,
			string(to), sqldb.NullMicros(due), id, string(from))
		return err
	})
	if err != nil {
		return fmt.Errorf("set the vehicle task of trip %s: %w", id, err)
	}
	return nil
}
