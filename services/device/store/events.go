package store

import (
	"context"
	"fmt"

	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/device"
)

// newestEvents is the one order of a device's events, as cursors name it.
const newestEvents = "device-events/newest"

func insertEvent(ctx context.Context, tx *sqldb.Tx, e device.Event) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO device_events (id, device_id, at, type, message, actor, data) VALUES `+tuples(1, 7),
		e.ID, e.DeviceID, sqldb.Micros(e.At), string(e.Type), e.Message, e.Actor, e.Data)
	if err != nil {
		return fmt.Errorf("insert device event: %w", err)
	}
	return nil
}

// Events gives a page of events a device: see device.Store.
func (s *Store) Events(ctx context.Context, deviceIDs []string, request page.Request) (map[string]page.Page[device.Event], error) {
	size, err := request.Size()
	if err != nil {
		return nil, err
	}
	var w sqldb.Where
	w.In("device_id", deviceIDs)
	totals := map[string]*int64{}
	if request.WithTotal {
		if totals, err = s.eventTotals(ctx, w); err != nil {
			return nil, err
		}
	}
	if err := afterEvent(&w, request.After); err != nil {
		return nil, err
	}
	events, err := s.firstEvents(ctx, w, size+1)
	if err != nil {
		return nil, err
	}
	pages := make(map[string]page.Page[device.Event], len(deviceIDs))
	for _, id := range deviceIDs {
		cut := page.Cut(events[id], size, func(e device.Event) page.Cursor { return page.AtTime(newestEvents, e.At, e.ID) })
		if cut.Total = totals[id]; request.WithTotal && cut.Total == nil {
			cut.Total = new(int64)
		}
		pages[id] = cut
	}
	return pages, nil
}

func afterEvent(w *sqldb.Where, cursor string) error {
	c, ok, err := page.ParseCursor(newestEvents, cursor)
	if err != nil || !ok {
		return err
	}
	at, err := c.Micros()
	if err != nil {
		return err
	}
	if ids.Check(ids.Event, c.ID) != nil {
		return badCursor()
	}
	w.And("(at, id) < (?, ?)", at, c.ID)
	return nil
}

// firstEvents gives the newest most events of each device.
func (s *Store) firstEvents(ctx context.Context, w sqldb.Where, most int) (map[string][]device.Event, error) {
	condition := w.SQL()
	rows, err := s.db.Read().QueryContext(ctx, `SELECT id, device_id, at, type, message, actor, data FROM (
			SELECT id, device_id, at, type, message, actor, data,
				ROW_NUMBER() OVER (PARTITION BY device_id ORDER BY at DESC, id DESC) AS place
			FROM device_events`+condition+`
		) AS ranked WHERE place <= `+w.Arg(most)+` ORDER BY device_id, at DESC, id DESC`, w.Args()...)
	if err != nil {
		return nil, fmt.Errorf("read device events: %w", err)
	}
	events, err := sqldb.Collect(rows, func(row sqldb.Row) (e device.Event, err error) {
		var at int64
		err = row.Scan(&e.ID, &e.DeviceID, &at, &e.Type, &e.Message, &e.Actor, &e.Data)
		e.At = sqldb.Time(at)
		return e, err
	})
	if err != nil {
		return nil, fmt.Errorf("read device events: %w", err)
	}
	byDevice := map[string][]device.Event{}
	for _, e := range events {
		byDevice[e.DeviceID] = append(byDevice[e.DeviceID], e)
	}
	return byDevice, nil
}

func (s *Store) eventTotals(ctx context.Context, w sqldb.Where) (map[string]*int64, error) {
	rows, err := s.db.Read().QueryContext(ctx, `SELECT device_id, COUNT(*) FROM device_events`+w.SQL()+` GROUP BY device_id`, w.Args()...)
	if err != nil {
		return nil, fmt.Errorf("count device events: %w", err)
	}
	totals := map[string]*int64{}
	_, err = sqldb.Collect(rows, func(row sqldb.Row) (struct{}, error) {
		var id string
		var n int64
		err := row.Scan(&id, &n)
		totals[id] = &n
		return struct{}{}, err
	})
	if err != nil {
		return nil, fmt.Errorf("count device events: %w", err)
	}
	return totals, nil
}
