package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/device"
)

const columns = `id, version, name, kind, labels, presence, last_seen_at, position, created_at, updated_at, deleted, source, external_id,
	board, firmware, lock_state, lock_rest, lock_due_at, privacy, position_arrived_at, board_at`

// changing lists the columns that changes of a device update.
const changing = `version, name, folded_name, sort_name, labels, position, updated_at, deleted,
	lock_state, lock_rest, lock_due_at, privacy`

func scanDevice(row sqldb.Row) (device.Device, error) {
	var d device.Device
	var labels string
	var position, board, privacy sql.NullString
	var lastSeen, positionArrived, boardAt sql.NullInt64
	var created, updated int64
	var lock lockColumns
	err := row.Scan(&d.ID, &d.Version, &d.Name, &d.Kind, &labels, &d.Presence, &lastSeen, &position,
		&created, &updated, &d.Deleted, &d.Source, &d.ExternalID, &board, &d.Firmware, &lock.state, &lock.rest, &lock.dueAt,
		&privacy, &positionArrived, &boardAt)
	if err != nil {
		return device.Device{}, fmt.Errorf("scan device: %w", err)
	}
	d.Board = board.String
	d.LastSeenAt, d.CreatedAt, d.UpdatedAt = sqldb.NullTime(lastSeen), sqldb.Time(created), sqldb.Time(updated)
	if err := json.Unmarshal([]byte(labels), &d.Labels); err != nil {
		return device.Device{}, fmt.Errorf("read the labels of %s: %w", d.ID, err)
	}
	if d.Position, err = sqldb.NullValue[device.Position](position); err != nil {
		return device.Device{}, fmt.Errorf("read the position of %s: %w", d.ID, err)
	}
	d.PositionArrivedAt, d.BoardAt = sqldb.NullTime(positionArrived), sqldb.NullTime(boardAt)
	if d.Privacy, err = sqldb.NullValue[device.Privacy](privacy); err != nil {
		return device.Device{}, fmt.Errorf("read the privacy of %s: %w", d.ID, err)
	}
	if d.Lock, err = lock.read(); err != nil {
		return device.Device{}, fmt.Errorf("read the lock of %s: %w", d.ID, err)
	}
	return d, nil
}

// sortRunes bounds sort_name, and so the cursors that contain it.
const sortRunes = 100

func sortName(name string) string {
	runes := []rune(sqldb.Fold(name))
	return string(runes[:min(len(runes), sortRunes)])
}

func changingValues(d device.Device) ([]any, error) {
	labels, err := json.Marshal(d.Labels)
	if err != nil {
		return nil, fmt.Errorf("write the labels: %w", err)
	}
	position, err := sqldb.NullJSON(d.Position)
	if err != nil {
		return nil, fmt.Errorf("write the position: %w", err)
	}
	lock, err := columnsOf(d.Lock)
	if err != nil {
		return nil, err
	}
	privacy, err := sqldb.NullJSON(d.Privacy)
	if err != nil {
		return nil, fmt.Errorf("write the privacy: %w", err)
	}
	return []any{
		d.Version, d.Name, sqldb.Fold(d.Name), sortName(d.Name), string(labels), position, sqldb.Micros(d.UpdatedAt), d.Deleted,
		lock.state, lock.rest, lock.dueAt, privacy,
	}, nil
}

func insertDevice(ctx context.Context, tx *sqldb.Tx, d device.Device) (isNew bool, err error) {
	values, err := changingValues(d)
	if err != nil {
		return false, err
	}
	values = append(values, d.ID, string(d.Kind), string(d.Presence), string(d.Presence), sqldb.NullMicros(d.LastSeenAt), sqldb.Micros(d.CreatedAt), d.Source, d.ExternalID)
	const names = changing + `, id, kind, presence, public_presence, last_seen_at, created_at, source, external_id`
	inserted, err := tx.Insert(ctx, "devices", names, [][]any{values},
		`ON CONFLICT (source, external_id) WHERE source <> '' AND NOT deleted DO NOTHING`)
	return inserted == 1, err
}

func updateDevice(ctx context.Context, tx *sqldb.Tx, d device.Device, version int64) error {
	values, err := changingValues(d)
	if err != nil {
		return err
	}
	row := sqldb.Tuples(1, len(values))
	values = append(values, d.ID, version)
	changed, err := sqldb.Affects(tx.ExecContext(ctx, fmt.Sprintf(`UPDATE devices SET (%s) = %s WHERE id = $%d AND version = $%d`,
		changing, row, len(values)-1, len(values)), values...))
	if err != nil {
		return fmt.Errorf("update device: %w", err)
	}
	if !changed {
		return fmt.Errorf("update device %s: it is not at version %d, although it is locked", d.ID, version)
	}
	return nil
}

func replaceLabels(ctx context.Context, tx *sqldb.Tx, d device.Device) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM device_labels WHERE device_id = $1`, d.ID); err != nil {
		return fmt.Errorf("delete labels: %w", err)
	}
	if d.Deleted {
		return nil
	}
	return insertLabels(ctx, tx, d)
}

func insertLabels(ctx context.Context, tx *sqldb.Tx, d device.Device) error {
	rows := make([][]any, 0, len(d.Labels))
	for _, key := range slices.Sorted(maps.Keys(d.Labels)) {
		rows = append(rows, []any{d.ID, key, d.Labels[key]})
	}
	_, err := tx.Insert(ctx, "device_labels", "device_id, key, value", rows, "")
	return err
}
