package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/device"
)

// lockColumns are the columns of a lock in its device's row.
type lockColumns struct {
	state string
	rest  sql.NullString
	dueAt sql.NullInt64
}

func columnsOf(l *device.Lock) (lockColumns, error) {
	if l == nil {
		return lockColumns{}, nil
	}
	rest, err := json.Marshal(l)
	if err != nil {
		return lockColumns{}, fmt.Errorf("write the lock: %w", err)
	}
	return lockColumns{state: string(l.State), rest: sql.NullString{String: string(rest), Valid: true}, dueAt: sqldb.NullMicros(l.DueAt)}, nil
}

func (c lockColumns) read() (*device.Lock, error) {
	if c.state == "" {
		return nil, nil
	}
	var l device.Lock
	if err := json.Unmarshal([]byte(c.rest.String), &l); err != nil {
		return nil, err
	}
	l.State, l.DueAt = device.LockState(c.state), sqldb.NullTime(c.dueAt)
	return &l, nil
}

// DueLocks implements vehicle.Store.
func (s *Store) DueLocks(ctx context.Context, now time.Time, most int) ([]string, error) {
	due, err := sqldb.Select(ctx, s.db.Read(), sqldb.Text, `SELECT id FROM devices
		WHERE lock_due_at <= $1 AND NOT deleted ORDER BY lock_due_at LIMIT $2`, sqldb.Micros(now), most)
	if err != nil {
		return nil, fmt.Errorf("read locks that are due: %w", err)
	}
	return due, nil
}
