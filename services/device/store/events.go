package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/uplink"
)

const eventColumns = `id, device_id, at, type, message, actor, data`

func newestEvents() sqldb.Newest {
	return sqldb.Newest{Name: "device-events/newest", Column: "at", Kind: ids.Event}
}

func insertEvent(ctx context.Context, tx *sqldb.Tx, e device.Event) error {
	row := []any{e.ID, e.DeviceID, sqldb.Micros(e.At), string(e.Type), e.Message, e.Actor, e.Data}
	_, err := tx.Insert(ctx, "device_events", eventColumns, [][]any{row}, "")
	return err
}

// Note implements uplink.Store.
func (s *Store) Note(ctx context.Context, e device.Event) error {
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		if err := noteIfThere(ctx, tx, e); err != nil || e.Type != uplink.Reported {
			return err
		}
		return tx.CheckStorage(ctx, e.DeviceID)
	})
	if err != nil {
		return fmt.Errorf("note an event: %w", err)
	}
	return nil
}

func noteIfThere(ctx context.Context, tx *sqldb.Tx, e device.Event) error {
	var there bool
	err := tx.QueryRowContext(ctx, `SELECT TRUE FROM devices WHERE id = $1 AND NOT deleted`, e.DeviceID).Scan(&there)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find the device: %w", err)
	}
	return insertEvent(ctx, tx, e)
}

func scanEvent(row sqldb.Row) (device.Event, error) {
	var e device.Event
	var at int64
	err := row.Scan(&e.ID, &e.DeviceID, &at, &e.Type, &e.Message, &e.Actor, &e.Data)
	e.At = sqldb.Time(at)
	return e, err
}

// Events implements registry.Store.
func (s *Store) Events(ctx context.Context, deviceIDs []string, request page.Request) (map[string]page.Page[device.Event], error) {
	return sqldb.Children[device.Event]{
		Table: "device_events", Columns: eventColumns, Parent: "device_id", Order: newestEvents(), Scan: scanEvent,
		ParentOf: func(e device.Event) string { return e.DeviceID },
		CursorOf: func(e device.Event) page.Cursor { return newestEvents().Cursor(e.At, e.ID) },
	}.PagesOf(ctx, s.db, deviceIDs, request)
}
