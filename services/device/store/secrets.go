package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/device"
)

// keepSecret stores the hash of a changed device's new secret; a device that is deleted has none.
func keepSecret(ctx context.Context, tx *sqldb.Tx, change device.Change) error {
	var err error
	switch {
	case change.Device.Deleted:
		_, err = tx.ExecContext(ctx, `DELETE FROM device_secrets WHERE device_id = $1`, change.Device.ID)
	case change.SecretHash != "":
		_, err = tx.ExecContext(ctx, `INSERT INTO device_secrets (device_id, hash, made_at) VALUES ($1, $2, $3)
			ON CONFLICT (device_id) DO UPDATE SET hash = excluded.hash, made_at = excluded.made_at`,
			change.Device.ID, change.SecretHash, sqldb.Micros(change.Event.At))
	}
	if err != nil {
		return fmt.Errorf("keep the secret: %w", err)
	}
	return nil
}

// SecretHash returns the hash of a device's secret: see registry.Store.
func (s *Store) SecretHash(ctx context.Context, deviceID string) (string, error) {
	var hash string
	err := s.db.Read().QueryRowContext(ctx, `SELECT hash FROM device_secrets WHERE device_id = $1`, deviceID).Scan(&hash)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("read the secret: %w", err)
	}
	return hash, nil
}

// lookAtOnce is how many devices are looked up in one query.
const lookAtOnce = 500

// Strangers returns who may not be connected: see registry.Store.
func (s *Store) Strangers(ctx context.Context, connected map[string]time.Time) ([]string, error) {
	var strangers []string
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(connected)), lookAtOnce) {
		var w sqldb.Where
		w.In("device_id", ids)
		made := map[string]time.Time{}
		_, err := sqldb.Select(ctx, s.db.Read(), func(row sqldb.Row) (struct{}, error) {
			var id string
			var at int64
			err := row.Scan(&id, &at)
			made[id] = sqldb.Time(at)
			return struct{}{}, err
		}, `SELECT device_id, made_at FROM device_secrets`+w.SQL(), w.Args()...)
		if err != nil {
			return nil, fmt.Errorf("read when secrets were made: %w", err)
		}
		for _, id := range ids {
			if at, known := made[id]; !known || at.After(connected[id]) {
				strangers = append(strangers, id)
			}
		}
	}
	return strangers, nil
}
