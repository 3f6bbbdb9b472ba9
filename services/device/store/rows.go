package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/device"
)

const columns = `id, version, name, kind, labels, presence, last_seen_at, position, created_at, updated_at, deleted, source, external_id`

func scanDevice(row sqldb.Row) (device.Device, error) {
	var d device.Device
	var labels string
	var position sql.NullString
	var lastSeen sql.NullInt64
	var created, updated int64
	err := row.Scan(&d.ID, &d.Version, &d.Name, &d.Kind, &labels, &d.Presence, &lastSeen, &position,
		&created, &updated, &d.Deleted, &d.Source, &d.ExternalID)
	if err != nil {
		return device.Device{}, fmt.Errorf("scan device: %w", err)
	}
	d.LastSeenAt, d.CreatedAt, d.UpdatedAt = sqldb.NullTime(lastSeen), sqldb.Time(created), sqldb.Time(updated)
	if err := json.Unmarshal([]byte(labels), &d.Labels); err != nil {
		return device.Device{}, fmt.Errorf("read the labels of %s: %w", d.ID, err)
	}
	if position.Valid {
		if err := json.Unmarshal([]byte(position.String), &d.Position); err != nil {
			return device.Device{}, fmt.Errorf("read the position of %s: %w", d.ID, err)
		}
	}
	return d, nil
}

// sortRunes bounds sort_name, so that a cursor that carries it stays short.
const sortRunes = 100

func fold(name string) string { return strings.ToLower(name) }

// sortName is what names are sorted by.
func sortName(name string) string {
	runes := []rune(fold(name))
	return string(runes[:min(len(runes), sortRunes)])
}

// changing is the columns of a device that its changes change, with their values.
func changing(d device.Device) (names []string, values []any, err error) {
	labels, err := json.Marshal(d.Labels)
	if err != nil {
		return nil, nil, fmt.Errorf("write the labels: %w", err)
	}
	var position sql.NullString
	if d.Position != nil {
		text, err := json.Marshal(d.Position)
		if err != nil {
			return nil, nil, fmt.Errorf("write the position: %w", err)
		}
		position = sql.NullString{String: string(text), Valid: true}
	}
	names = []string{"version", "name", "folded_name", "sort_name", "labels", "position", "updated_at", "deleted"}
	return names, []any{
		d.Version, d.Name, fold(d.Name), sortName(d.Name), string(labels), position, sqldb.Micros(d.UpdatedAt), d.Deleted,
	}, nil
}

// insertDevice tells whether the device was new.
func insertDevice(ctx context.Context, tx *sqldb.Tx, d device.Device) (isNew bool, err error) {
	names, values, err := changing(d)
	if err != nil {
		return false, err
	}
	names = append(names, "id", "kind", "presence", "last_seen_at", "created_at", "source", "external_id")
	values = append(values, d.ID, string(d.Kind), string(d.Presence), sqldb.NullMicros(d.LastSeenAt), sqldb.Micros(d.CreatedAt), d.Source, d.ExternalID)
	inserted, err := tx.ExecContext(ctx, `INSERT INTO devices (`+list(names)+`) VALUES `+tuples(1, len(names))+
		` ON CONFLICT (source, external_id) WHERE source <> '' AND NOT deleted DO NOTHING`, values...)
	if err != nil {
		return false, fmt.Errorf("insert device: %w", err)
	}
	n, err := inserted.RowsAffected()
	return n == 1, err
}

// updateDevice keeps a locked device that was read at the version.
func updateDevice(ctx context.Context, tx *sqldb.Tx, d device.Device, version int64) error {
	names, values, err := changing(d)
	if err != nil {
		return err
	}
	values = append(values, d.ID, version)
	changed, err := tx.ExecContext(ctx, `UPDATE devices SET (`+list(names)+`) = `+tuples(1, len(names))+
		fmt.Sprintf(` WHERE id = $%d AND version = $%d`, len(values)-1, len(values)), values...)
	if err != nil {
		return fmt.Errorf("update device: %w", err)
	}
	n, err := changed.RowsAffected()
	if err == nil && n != 1 {
		return fmt.Errorf("update device %s: it is not at version %d, although it is locked", d.ID, version)
	}
	return err
}

// replaceLabels keeps the labels of a known device to be searched; one that is deleted has none.
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
	if len(d.Labels) == 0 {
		return nil
	}
	values := make([]any, 0, 3*len(d.Labels))
	for _, key := range slices.Sorted(maps.Keys(d.Labels)) {
		values = append(values, d.ID, key, d.Labels[key])
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO device_labels (device_id, key, value) VALUES `+tuples(len(d.Labels), 3), values...)
	if err != nil {
		return fmt.Errorf("insert labels: %w", err)
	}
	return nil
}

func list(names []string) string { return strings.Join(names, ", ") }

// tuples is placeholders for rows of n columns: ($1, $2), ($3, $4).
func tuples(rows, n int) string {
	var out strings.Builder
	for i := range rows * n {
		switch {
		case i == 0:
			out.WriteString("($")
		case i%n == 0:
			out.WriteString("), ($")
		default:
			out.WriteString(", $")
		}
		out.WriteString(strconv.Itoa(i + 1))
	}
	out.WriteByte(')')
	return out.String()
}

// texts is values of a named string type as plain strings.
func texts[T ~string](values []T) []string {
	all := make([]string, len(values))
	for i, value := range values {
		all[i] = string(value)
	}
	return all
}
