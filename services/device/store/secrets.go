package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/device"
)

func writeSecret(ctx context.Context, tx *sqldb.Tx, change device.Change) error {
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

// SecretHash implements registry.Store.
func (s *Store) SecretHash(ctx context.Context, deviceID string) (string, error) {
	var hash string
	err := s.db.Read().QueryRowContext(ctx, `SELECT hash FROM device_secrets WHERE device_id = $1`, deviceID).Scan(&hash)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("read the secret: %w", err)
	}
	return hash, nil
}

// maxLookup is the maximum number of devices per query.
const maxLookup = 500
