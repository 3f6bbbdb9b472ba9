package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/camera"
	"github.com/sluicehq/sluice/services/device/command"
)

const selectStreams = `SELECT d.id, COALESCE(s.body, ''), s.due_at FROM devices d LEFT JOIN device_streams s ON s.device_id = d.id`

func (s *Store) scanStream(row sqldb.Row) (camera.Stream, error) {
	var id, body string
	var due sql.NullInt64
	if err := row.Scan(&id, &body, &due); err != nil {
		return camera.Stream{}, err
	}
	body, err := s.db.Unseal(sqldb.Place("device_streams", "body", id), body)
	if err != nil {
		return camera.Stream{}, err
	}
	st, err := camera.ParseStream(id, body)
	st.DueAt = sqldb.NullTime(due)
	return st, err
}

// ChangeStream implements camera.Store.
func (s *Store) ChangeStream(ctx context.Context, deviceID string, decide func(device.Device, camera.Stream, *command.Command) (*camera.StreamChange, error)) (camera.Stream, error) {
	var st camera.Stream
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		d, err := lockDevice(ctx, tx, "id = $1", deviceID)
		if errors.Is(err, sql.ErrNoRows) {
			return device.Missing(deviceID)
		}
		if err != nil {
			return err
		}
		if st, err = s.scanStream(tx.QueryRowContext(ctx, selectStreams+` WHERE d.id = $1`, deviceID)); err != nil {
			return fmt.Errorf("read the stream: %w", err)
		}
		c, err := s.namedBy(ctx, tx, command.Target{CommandID: st.CommandID}, deviceID)
		if err != nil {
			return err
		}
		change, err := decide(d, st, c)
		if err != nil || change == nil {
			return err
		}
		st = change.Stream
		return s.writeStream(ctx, tx, *change)
	})
	if err != nil {
		return camera.Stream{}, fmt.Errorf("change stream: %w", err)
	}
	return st, nil
}

func (s *Store) writeStream(ctx context.Context, tx *sqldb.Tx, change camera.StreamChange) error {
	st := change.Stream
	body, err := json.Marshal(st)
	if err != nil {
		return fmt.Errorf("write the stream: %w", err)
	}
	sealed, err := s.db.Seal(sqldb.Place("device_streams", "body", st.DeviceID), string(body)) // with the answer of the camera
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO device_streams (device_id, due_at, body) VALUES ($1, $2, $3)
		ON CONFLICT (device_id) DO UPDATE SET due_at = excluded.due_at, body = excluded.body`,
		st.DeviceID, sqldb.NullMicros(st.DueAt), sealed)
	if err != nil {
		return fmt.Errorf("keep the stream: %w", err)
	}
	for _, e := range change.Events {
		if err := insertEvent(ctx, tx, e); err != nil {
			return err
		}
	}
	return nil
}

// GetStreams implements camera.Store.
func (s *Store) GetStreams(ctx context.Context, deviceIDs []string) ([]camera.Stream, error) {
	var w sqldb.Where
	w.In("d.id", deviceIDs)
	w.And("NOT d.deleted")
	streams, err := sqldb.Select(ctx, s.db.Read(), s.scanStream, selectStreams+w.SQL(), w.Args()...)
	if err != nil {
		return nil, fmt.Errorf("read streams: %w", err)
	}
	return streams, nil
}

// DueStreams implements camera.Store.
func (s *Store) DueStreams(ctx context.Context, now time.Time, most int) ([]string, error) {
	due, err := sqldb.Select(ctx, s.db.Read(), sqldb.Text, `SELECT s.device_id FROM device_streams s
		JOIN devices d ON d.id = s.device_id WHERE s.due_at <= $1 AND NOT d.deleted ORDER BY s.due_at LIMIT $2`, sqldb.Micros(now), most)
	if err != nil {
		return nil, fmt.Errorf("read streams that are due: %w", err)
	}
	return due, nil
}
