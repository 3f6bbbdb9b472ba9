package store

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/trip"
)

// Errands gives trips with an errand that is due: see trip.Store.
func (s *Store) Errands(ctx context.Context, now time.Time, most int) ([]trip.Trip, error) {
	return s.query(ctx, ` WHERE errand_at <= $1 ORDER BY errand_at LIMIT $2`, []any{sqldb.Micros(now), most})
}

// SetErrand replaces an errand: see trip.Store.
func (s *Store) SetErrand(ctx context.Context, id string, from, to trip.Errand, at *time.Time) error {
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE trips SET errand = $1, errand_at = $2 WHERE id = $3 AND errand = $4`,
			string(to), sqldb.NullMicros(at), id, string(from))
		return err
	})
	if err != nil {
		return fmt.Errorf("set the errand of trip %s: %w", id, err)
	}
	return nil
}
