package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/sqldb"
)

// maxForgotten bounds the log lines that one transaction deletes, unless one command has more.
const maxForgotten = 5_000

// ForgetCommands implements maintenance.RetentionStore.
func (s *Store) ForgetCommands(ctx context.Context, before time.Time, most int) (int64, error) {
	n, err := s.forgetCommands(ctx, `SELECT id, log_lines FROM commands WHERE finished_at < $1 ORDER BY finished_at LIMIT $2`,
		sqldb.Micros(before), most)
	if err != nil {
		return 0, fmt.Errorf("forget commands: %w", err)
	}
	return n, nil
}

// forgetCommands deletes the commands that the query returns, with the length of their logs. A finished command does
// not change any more.
func (s *Store) forgetCommands(ctx context.Context, query string, args ...any) (int64, error) {
	lines := int64(0)
	found, err := sqldb.Select(ctx, s.db.Read(), func(row sqldb.Row) (string, error) {
		var id string
		var its int64
		err := row.Scan(&id, &its)
		if lines += its; lines > maxForgotten && lines > its {
			return "", err // in a later batch
		}
		return id, err
	}, query, args...)
	if err != nil {
		return 0, err
	}
	over := found[:0]
	for _, id := range found {
		if id != "" {
			over = append(over, id)
		}
	}
	if len(over) == 0 {
		return 0, nil
	}
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
		var logs, commands sqldb.Where
		logs.In("command_id", over)
		if _, err := tx.ExecContext(ctx, `DELETE FROM command_log`+logs.SQL(), logs.Args()...); err != nil {
			return err
		}
		commands.In("id", over)
		_, err := tx.ExecContext(ctx, `DELETE FROM commands`+commands.SQL(), commands.Args()...)
		return err
	})
	return int64(len(over)), err
}

// ForgetEvents implements maintenance.RetentionStore.
func (s *Store) ForgetEvents(ctx context.Context, before time.Time, most int) (int64, error) {
	return s.forget(ctx, "device_events", `SELECT id FROM device_events WHERE at < $1 ORDER BY at LIMIT $2`, sqldb.Micros(before), most)
}

// ForgetCalls implements maintenance.RetentionStore.
func (s *Store) ForgetCalls(ctx context.Context, before time.Time, most int) (int64, error) {
	return s.forget(ctx, "device_calls", `SELECT id FROM device_calls WHERE at < $1 ORDER BY at LIMIT $2`, sqldb.Micros(before), most)
}

func (s *Store) forget(ctx context.Context, table, query string, args ...any) (int64, error) {
	found, err := sqldb.Select(ctx, s.db.Read(), sqldb.Text, query, args...)
	if err == nil && len(found) > 0 {
		err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
			var w sqldb.Where
			w.In("id", found)
			_, err := tx.ExecContext(ctx, `DELETE FROM `+table+w.SQL(), w.Args()...)
			return err
		})
	}
	if err != nil {
		return 0, fmt.Errorf("forget rows of %s: %w", table, err)
	}
	return int64(len(found)), nil
}

// Trim implements maintenance.RetentionStore. It writes nothing if there is nothing to delete.
func (s *Store) Trim(ctx context.Context, deviceID string, newest, most int) (int64, error) {
	total := int64(0)
	for _, table := range []string{"device_events", "device_calls"} {
		at, id, some, err := s.last(ctx, table, "at", deviceID, newest)
		if err != nil {
			return total, err
		}
		if !some {
			continue
		}
		n, err := s.forget(ctx, table, `SELECT id FROM `+table+` WHERE device_id = $1 AND (at, id) < ($2, $3) ORDER BY at, id LIMIT $4`, deviceID, at, id, most)
		if total += n; err != nil {
			return total, err
		}
	}
	at, id, some, err := s.last(ctx, "commands", "created_at", deviceID, newest)
	if err != nil || !some {
		return total, err
	}
	n, err := s.forgetCommands(ctx, `SELECT id, log_lines FROM commands
		WHERE device_id = $1 AND finished_at IS NOT NULL AND (created_at, id) < ($2, $3) ORDER BY created_at, id LIMIT $4`, deviceID, at, id, most)
	if err != nil {
		return total, fmt.Errorf("trim the commands of %s: %w", deviceID, err)
	}
	return total + n, nil
}

// last returns the oldest of the newest rows of a device; some is false when there are no more rows than these.
func (s *Store) last(ctx context.Context, table, column, deviceID string, newest int) (at int64, id string, some bool, err error) {
	err = s.db.Read().QueryRowContext(ctx, `SELECT `+column+`, id FROM `+table+` WHERE device_id = $1
		ORDER BY `+column+` DESC, id DESC LIMIT 1 OFFSET $2`, deviceID, newest-1).Scan(&at, &id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, "", false, nil
	}
	if err != nil {
		return 0, "", false, fmt.Errorf("count rows of %s: %w", table, err)
	}
	return at, id, true, nil
}
