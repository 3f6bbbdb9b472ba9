package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/presence"
)

var _ presence.Store = (*Store)(nil)

// ChangePresence implements presence.Store. It locks in the order of ids, so that two calls cannot deadlock.
func (s *Store) ChangePresence(ctx context.Context, deviceIDs []string, now time.Time, next presence.Next) error {
	sorted := slices.Sorted(slices.Values(deviceIDs))
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		for _, id := range sorted {
			if err := s.changePresence(ctx, tx, id, now, next); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("change who is there: %w", err)
	}
	return nil
}

func (s *Store) changePresence(ctx context.Context, tx *sqldb.Tx, id string, now time.Time, next presence.Next) error {
	before, err := lockPresence(ctx, tx, id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("lock the presence of %s: %w", id, err)
	}
	after, seen := next(id, before)
	var at int64
	if !after.At.IsZero() {
		at = sqldb.Micros(after.At)
	}
	_, err = tx.ExecContext(ctx, `UPDATE devices SET presence = $1, presence_told = $2, presence_at = $3, presence_due_at = $4,
			last_seen_at = CASE WHEN last_seen_at IS NULL OR last_seen_at < $5 THEN COALESCE($5, last_seen_at) ELSE last_seen_at END
		WHERE id = $6`, string(after.Presence), string(after.Published), at, sqldb.NullMicros(after.Due), sqldb.NullMicros(seen), id)
	if err != nil {
		return fmt.Errorf("keep the presence of %s: %w", id, err)
	}
	if after.Published == before.Published {
		return nil
	}
	return s.emitPresence(ctx, tx, id, after.Published, now)
}

func (s *Store) emitPresence(ctx context.Context, tx *sqldb.Tx, id string, published presence.Presence, now time.Time) error {
	d, err := scanDevice(tx.QueryRowContext(ctx, `SELECT `+columns+` FROM devices WHERE id = $1`, id))
	if err != nil {
		return err
	}
	words := map[presence.Presence]string{presence.Online: "came", presence.Offline: "went"}[published]
	event := device.Event{
		ID: ids.New(ids.Event), DeviceID: id, At: now, Type: device.EventType(published), Message: words, Actor: id, Data: "{}",
	}
	if err := insertEvent(ctx, tx, event); err != nil {
		return err
	}
	return s.emit(ctx, tx, now, strings.ToLower(string(published)), d)
}

func lockPresence(ctx context.Context, tx *sqldb.Tx, id string) (presence.State, error) {
	var s presence.State
	var at int64
	var due sql.NullInt64
	err := tx.QueryRowContext(ctx, `UPDATE devices SET version = version WHERE id = $1 AND NOT deleted
		RETURNING presence, presence_told, presence_at, presence_due_at`, id).Scan(&s.Presence, &s.Published, &at, &due)
	if at != 0 {
		s.At = sqldb.Time(at)
	}
	s.Due = sqldb.NullTime(due)
	return s, err
}

// Present implements presence.Store.
func (s *Store) Present(ctx context.Context) ([]string, error) {
	return s.ids(ctx, `SELECT id FROM devices WHERE NOT deleted AND (presence = 'ONLINE' OR presence_due_at IS NOT NULL)`)
}

// Due implements presence.Store.
func (s *Store) Due(ctx context.Context, now time.Time, limit int) ([]string, error) {
	return s.ids(ctx, `SELECT id FROM devices WHERE NOT deleted AND presence_due_at IS NOT NULL AND presence_due_at <= $1
		ORDER BY presence_due_at LIMIT $2`, sqldb.Micros(now), limit)
}

func (s *Store) ids(ctx context.Context, query string, args ...any) ([]string, error) {
	found, err := sqldb.Select(ctx, s.db.Read(), sqldb.Text, query, args...)
	if err != nil {
		return nil, fmt.Errorf("look for devices: %w", err)
	}
	return found, nil
}
