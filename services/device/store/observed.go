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
	"github.com/sluicehq/sluice/services/device/telemetry"
	"github.com/sluicehq/sluice/services/device/uplink"
)

// RecordAll implements telemetry.Store.
func (s *Store) RecordAll(ctx context.Context, recordings []telemetry.Recording) (stored int64, refused []error, err error) {
	var rows [][]any
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
		there, err := known(ctx, tx, recordings)
		if err != nil {
			return err
		}
		storage, err := tx.StorageOf(ctx, slices.Collect(maps.Keys(there)))
		if err != nil {
			return err
		}
		rows, refused = rows[:0], make([]error, len(recordings))
		for i, recording := range recordings {
			if !there[recording.DeviceID] {
				continue
			}
			after := storage[recording.DeviceID]
			for _, r := range recording.Readings {
				after.Used += readingSize(len(r.Key))
			}
			if after.Left() < 0 {
				refused[i] = sqldb.StorageExhausted(after)
				continue
			}
			storage[recording.DeviceID] = after
			arrived := sqldb.Micros(recording.ArrivedAt)
			for _, r := range recording.Readings {
				rows = append(rows, []any{recording.DeviceID, r.Key, sqldb.Micros(r.At), r.Value, arrived})
			}
		}
		stored, err = insertReadings(ctx, tx, rows)
		return err
	})
	if err != nil {
		return 0, nil, fmt.Errorf("record readings: %w", err)
	}
	return stored, refused, nil
}

const (
	readingsTable  = "readings"
	readingColumns = "device_id, key, at, value, arrived_at"

	readingBytes = 150 // the size of a reading without its key, which the row and the primary key both have
)

// insertReadings inserts the new readings among the rows, and counts their bytes: one write for each device. When all
// are new, which is the rule, it need not ask which of them are.
func insertReadings(ctx context.Context, tx *sqldb.Tx, rows [][]any) (stored int64, err error) {
	bytes := map[string]int64{}
	err = tx.Nested(ctx, func(tx *sqldb.Tx) error {
		if stored, err = tx.Insert(ctx, readingsTable, readingColumns, rows, onReadingKnown); err != nil {
			return err
		}
		if stored < int64(len(rows)) {
			return errSomeKnown
		}
		return nil
	})
	switch {
	case err == nil:
		for _, row := range rows {
			bytes[row[0].(string)] += readingSize(len(row[1].(string)))
		}
	case errors.Is(err, errSomeKnown):
		stored = 0
		err = tx.InsertReturning(ctx, readingsTable, readingColumns, rows, onReadingKnown, "device_id, octet_length(key)", func(row sqldb.Row) error {
			var deviceID string
			var key int
			err := row.Scan(&deviceID, &key)
			bytes[deviceID] += readingSize(key)
			stored++
			return err
		})
	}
	if err != nil {
		return 0, err
	}
	return stored, tx.CountStorage(ctx, readingsTable, bytes)
}

const onReadingKnown = "ON CONFLICT DO NOTHING"

var errSomeKnown = errors.New("some of the readings are stored already")

func readingSize(key int) int64 { return readingBytes + 2*int64(key) }

// known returns the existing devices.
func known(ctx context.Context, tx *sqldb.Tx, recordings []telemetry.Recording) (map[string]bool, error) {
	there := make(map[string]bool, len(recordings))
	var ids []string
	for _, r := range recordings {
		if _, asked := there[r.DeviceID]; !asked {
			there[r.DeviceID] = false
			ids = append(ids, r.DeviceID)
		}
	}
	for len(ids) > 0 {
		n := min(len(ids), maxLookup)
		var w sqldb.Where
		w.In("id", ids[:n])
		w.And("NOT deleted")
		found, err := sqldb.Select(ctx, tx, sqldb.Text, `SELECT id FROM devices`+w.SQL(), w.Args()...)
		if err != nil {
			return nil, fmt.Errorf("find the devices: %w", err)
		}
		for _, id := range found {
			there[id] = true
		}
		ids = ids[n:]
	}
	return there, nil
}

// Observe implements uplink.Store. Each position has an event, with the device at that position.
func (s *Store) Observe(ctx context.Context, deviceID string, positions []device.Position, arrived time.Time) error {
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		d, err := lockDevice(ctx, tx, "id = $1", deviceID)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		after := d
		for _, p := range positions {
			there := d
			there.Position = &p
			payload, err := s.encode.Device(there)
			if err != nil {
				return fmt.Errorf("encode device %s: %w", deviceID, err)
			}
			if err := tx.Emit(ctx, arrived, "event.position.observed."+deviceID, payload); err != nil {
				return err
			}
			rider, err := riderOf(ctx, tx, d, p.At, &arrived)
			if err != nil {
				return err
			}
			after = after.Located(p, arrived, rider)
		}
		return s.writePosition(ctx, tx, d, after, arrived)
	})
	if err != nil {
		return fmt.Errorf("observe %s: %w", deviceID, err)
	}
	return nil
}

func (s *Store) writePosition(ctx context.Context, tx *sqldb.Tx, d, after device.Device, now time.Time) error {
	if after.Position == d.Position && after.Privacy == d.Privacy {
		return nil
	}
	position, err := sqldb.NullJSON(after.Position)
	if err != nil {
		return fmt.Errorf("write the position: %w", err)
	}
	privacy, err := sqldb.NullJSON(after.Privacy)
	if err != nil {
		return fmt.Errorf("write the privacy: %w", err)
	}
	_, err = tx.ExecContext(ctx, `UPDATE devices SET position = $1, position_arrived_at = $2, privacy = $3 WHERE id = $4`,
		position, sqldb.NullMicros(after.PositionArrivedAt), privacy, d.ID)
	if err != nil {
		return fmt.Errorf("keep the position: %w", err)
	}
	return s.emit(ctx, tx, now, "moved", &d, after)
}

// located returns the device with the rider of a position that did not arrive from the device.
func located(ctx context.Context, tx *sqldb.Tx, known, after device.Device) (device.Device, error) {
	if known.Privacy == nil || after.Position == nil {
		return after, nil
	}
	rider, err := riderOf(ctx, tx, known, after.Position.At)
	if err != nil {
		return after, err
	}
	p, public := *known.Privacy, known.Public().Position
	p.PositionRider, p.Position = rider, nil
	if rider != "" {
		p.Position = public
	}
	after.Privacy = &p
	return after, nil
}

// Report implements uplink.Store.
func (s *Store) Report(ctx context.Context, deviceID string, state uplink.ReportedState, arrived time.Time) error {
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		d, err := lockDevice(ctx, tx, "id = $1", deviceID)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		rider, err := riderOf(ctx, tx, d, &arrived)
		if err != nil {
			return err
		}
		if d.Board == state.Board && (d.Privacy == nil || d.Privacy.ReportRider == rider) {
			return nil
		}
		after := d.Reporting(state.Board, state.Firmware, arrived, rider)
		privacy, err := sqldb.NullJSON(after.Privacy)
		if err != nil {
			return fmt.Errorf("write the privacy: %w", err)
		}
		_, err = tx.ExecContext(ctx, `UPDATE devices SET board = $1, firmware = $2, board_at = $3, privacy = $4 WHERE id = $5`,
			after.Board, after.Firmware, sqldb.Micros(arrived), privacy, deviceID)
		if err != nil {
			return fmt.Errorf("keep the board: %w", err)
		}
		return s.emit(ctx, tx, arrived, "reported", &d, after)
	})
	if err != nil {
		return fmt.Errorf("keep what %s reported: %w", deviceID, err)
	}
	return nil
}
