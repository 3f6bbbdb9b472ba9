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
	before, d, err := lockPresence(ctx, tx, id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("lock the presence of %s: %w", id, err)
	}
	after, seen := next(id, before)
	changed := d
	changed.Presence = device.Presence(after.Presence)
	if seen != nil {
		rider, err := riderOf(ctx, tx, d, seen)
		if err != nil {
			return err
		}
		changed = changed.Noticed(*seen, rider)
	}
	privacy, err := sqldb.NullJSON(changed.Privacy)
	if err != nil {
		return fmt.Errorf("write the privacy: %w", err)
	}
	var at int64
	if !after.At.IsZero() {
		at = sqldb.Micros(after.At)
	}
	_, err = tx.ExecContext(ctx, `UPDATE devices SET presence = $1, public_presence = $2, presence_told = $3, presence_at = $4, presence_due_at = $5,
			last_seen_at = $6, privacy = $7
		WHERE id = $8`, string(changed.Presence), string(changed.Public().Presence), string(after.Published), at, sqldb.NullMicros(after.Due),
		sqldb.NullMicros(changed.LastSeenAt), privacy, id)
	if err != nil {
		return fmt.Errorf("keep the presence of %s: %w", id, err)
	}
	if after.Published == before.Published {
		return nil
	}
	return s.emitPresence(ctx, tx, d, changed, after.Published, now)
}

func (s *Store) emitPresence(ctx context.Context, tx *sqldb.Tx, before, after device.Device, published presence.Presence, now time.Time) error {
	words := map[presence.Presence]string{presence.Online: "came", presence.Offline: "went"}[published]
	event := device.Event{
		ID: ids.New(ids.Event), DeviceID: after.ID, At: now, Type: device.EventType(published), Message: words, Actor: after.ID, Data: "{}",
	}
	if err := insertEvent(ctx, tx, event); err != nil {
		return err
	}
	return s.emit(ctx, tx, now, strings.ToLower(string(published)), &before, after)
}

func lockPresence(ctx context.Context, tx *sqldb.Tx, id string) (s presence.State, d device.Device, err error) {
	var at int64
	var due sql.NullInt64
	row := tx.QueryRowContext(ctx, `UPDATE devices SET version = version WHERE id = $1 AND NOT deleted
		RETURNING `+columns+`, presence_told, presence_at, presence_due_at`, id)
	d, err = scanDevice(longRow{row, []any{&s.Published, &at, &due}})
	s.Presence, s.Due = presence.Presence(d.Presence), sqldb.NullTime(due)
	if at != 0 {
		s.At = sqldb.Time(at)
	}
	return s, d, err
}

// longRow is the row of a device with more columns.
type longRow struct {
	sqldb.Row
	more []any
}

func (r longRow) Scan(into ...any) error { return r.Row.Scan(append(into, r.more...)...) }

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
