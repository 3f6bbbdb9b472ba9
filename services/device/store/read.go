package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/device"
)

// The orders of devices, as cursors name them.
const (
	byName = "devices/name"
	newest = "devices/newest"
)

// Get gives devices by id: see device.Store.
func (s *Store) Get(ctx context.Context, ids []string) ([]device.Device, error) {
	var w sqldb.Where
	w.In("id", ids)
	w.And("NOT deleted")
	return s.query(ctx, w.SQL(), w.Args())
}

// List gives a page of devices: see device.Store.
func (s *Store) List(ctx context.Context, filter device.Filter, order device.Order, request page.Request) (page.Page[device.Device], error) {
	size, err := request.Size()
	if err != nil {
		return page.Page[device.Device]{}, err
	}
	w := where(filter)
	var total *int64
	if request.WithTotal {
		if total, err = s.total(ctx, w); err != nil {
			return page.Page[device.Device]{}, err
		}
	}
	sorted, cursorOf := " ORDER BY sort_name, id", nameCursor
	start := afterName
	if order == device.Newest {
		sorted, cursorOf, start = " ORDER BY created_at DESC, id DESC", newestCursor, afterNewest
	}
	if err := start(&w, request.After); err != nil {
		return page.Page[device.Device]{}, err
	}
	condition := w.SQL()
	devices, err := s.query(ctx, condition+sorted+` LIMIT `+w.Arg(size+1), w.Args())
	if err != nil {
		return page.Page[device.Device]{}, err
	}
	cut := page.Cut(devices, size, cursorOf)
	cut.Total = total
	return cut, nil
}

func where(filter device.Filter) sqldb.Where {
	var w sqldb.Where
	w.And("NOT deleted")
	if len(filter.Kinds) > 0 {
		w.In("kind", texts(filter.Kinds))
	}
	if len(filter.Presences) > 0 {
		w.In("presence", texts(filter.Presences))
	}
	for _, key := range slices.Sorted(maps.Keys(filter.Labels)) {
		w.And("id IN (SELECT device_id FROM device_labels WHERE key = ? AND value = ?)", key, filter.Labels[key])
	}
	if filter.NameContains != "" {
		w.And(`folded_name LIKE ? ESCAPE '\'`, "%"+literal(fold(filter.NameContains))+"%")
	}
	return w
}

// literal escapes what LIKE takes for a pattern.
func literal(text string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(text)
}

func nameCursor(d device.Device) page.Cursor {
	return page.Cursor{Order: byName, Key: sortName(d.Name), ID: d.ID}
}

func newestCursor(d device.Device) page.Cursor { return page.AtTime(newest, d.CreatedAt, d.ID) }

// afterName starts the page behind the cursor, in order of names.
func afterName(w *sqldb.Where, cursor string) error {
	c, ok, err := page.ParseCursor(byName, cursor)
	if err != nil || !ok {
		return err
	}
	if !utf8.ValidString(c.Key) || ids.Check(ids.Device, c.ID) != nil {
		return badCursor()
	}
	w.And("(sort_name, id) > (?, ?)", c.Key, c.ID)
	return nil
}

// afterNewest starts the page behind the cursor, the newest first.
func afterNewest(w *sqldb.Where, cursor string) error {
	c, ok, err := page.ParseCursor(newest, cursor)
	if err != nil || !ok {
		return err
	}
	at, err := c.Micros()
	if err != nil {
		return err
	}
	if ids.Check(ids.Device, c.ID) != nil {
		return badCursor()
	}
	w.And("(created_at, id) < (?, ?)", at, c.ID)
	return nil
}

func badCursor() error { return errs.Invalid("after", "is not a cursor of this list") }

func (s *Store) total(ctx context.Context, w sqldb.Where) (*int64, error) {
	var n int64
	if err := s.db.Read().QueryRowContext(ctx, `SELECT COUNT(*) FROM devices`+w.SQL(), w.Args()...).Scan(&n); err != nil {
		return nil, fmt.Errorf("count devices: %w", err)
	}
	return &n, nil
}

func (s *Store) query(ctx context.Context, rest string, args []any) ([]device.Device, error) {
	rows, err := s.db.Read().QueryContext(ctx, `SELECT `+columns+` FROM devices`+rest, args...)
	if err != nil {
		return nil, fmt.Errorf("read devices: %w", err)
	}
	devices, err := sqldb.Collect(rows, scanDevice)
	if err != nil {
		return nil, fmt.Errorf("read devices: %w", err)
	}
	return devices, nil
}

// Count counts devices by presence: see device.Store.
func (s *Store) Count(ctx context.Context, kinds []device.Kind) (device.Counts, error) {
	w := where(device.Filter{Kinds: kinds})
	rows, err := s.db.Read().QueryContext(ctx, `SELECT presence, COUNT(*) FROM devices`+w.SQL()+` GROUP BY presence`, w.Args()...)
	if err != nil {
		return device.Counts{}, fmt.Errorf("count devices: %w", err)
	}
	var counts device.Counts
	_, err = sqldb.Collect(rows, func(row sqldb.Row) (struct{}, error) {
		var presence device.Presence
		var n int64
		err := row.Scan(&presence, &n)
		counts.Total += n
		switch presence {
		case device.Online:
			counts.Online += n
		case device.Offline:
			counts.Offline += n
		case device.Unknown:
			counts.Unknown += n
		}
		return struct{}{}, err
	})
	if err != nil {
		return device.Counts{}, fmt.Errorf("count devices: %w", err)
	}
	return counts, nil
}
