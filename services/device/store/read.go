package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/registry"
)

// byName is the order by name, in cursors.
const byName = "devices/name"

func newest() sqldb.Newest {
	return sqldb.Newest{Name: "devices/newest", Column: "created_at", Kind: ids.Device}
}

// Get implements registry.Store.
func (s *Store) Get(ctx context.Context, ids []string) ([]device.Device, error) {
	var w sqldb.Where
	w.In("id", ids)
	w.And("NOT deleted")
	return s.query(ctx, w.SQL(), w.Args())
}

// List implements registry.Store.
func (s *Store) List(ctx context.Context, filter registry.Filter, order registry.Order, request page.Request) (page.Page[device.Device], error) {
	size, err := request.Size()
	if err != nil {
		return page.Page[device.Device]{}, err
	}
	w := where(filter)
	total, err := s.db.Total(ctx, request, "devices", w)
	if err != nil {
		return page.Page[device.Device]{}, err
	}
	sorted, after, cursorOf := " ORDER BY sort_name, id", afterName, nameCursor
	if order == registry.Newest {
		sorted, after, cursorOf = newest().SQL(), newest().After, newestCursor
	}
	if err := after(&w, request.After); err != nil {
		return page.Page[device.Device]{}, err
	}
	devices, err := s.query(ctx, w.SQL()+sorted+` LIMIT `+w.Arg(size+1), w.Args())
	if err != nil {
		return page.Page[device.Device]{}, err
	}
	cut := page.Cut(devices, size, cursorOf)
	cut.Total = total
	return cut, nil
}

func where(filter registry.Filter) sqldb.Where {
	var w sqldb.Where
	w.And("NOT deleted")
	sqldb.Narrow(&w, "kind", filter.Kinds)
	sqldb.Narrow(&w, presenceColumn(filter), filter.Presences)
	haveLabels(&w, "id", filter.Labels)
	if filter.NameContains != "" {
		w.Contains("folded_name", filter.NameContains)
	}
	return w
}

func presenceColumn(filter registry.Filter) string {
	if filter.Public {
		return "public_presence"
	}
	return "presence"
}

func haveLabels(w *sqldb.Where, column string, labels map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		w.And(column+" IN (SELECT device_id FROM device_labels WHERE key = ? AND value = ?)", key, labels[key])
	}
}

func nameCursor(d device.Device) page.Cursor {
	return page.Cursor{Order: byName, Key: sortName(d.Name), ID: d.ID}
}

func newestCursor(d device.Device) page.Cursor { return newest().Cursor(d.CreatedAt, d.ID) }

func afterName(w *sqldb.Where, cursor string) error {
	c, ok, err := page.ParseCursor(byName, cursor)
	if err != nil || !ok {
		return err
	}
	if !utf8.ValidString(c.Key) || ids.Check(ids.Device, c.ID) != nil {
		return page.InvalidCursor()
	}
	w.And("(sort_name, id) > (?, ?)", c.Key, c.ID)
	return nil
}

func (s *Store) query(ctx context.Context, rest string, args []any) ([]device.Device, error) {
	devices, err := sqldb.Select(ctx, s.db.Read(), scanDevice, `SELECT `+columns+` FROM devices`+rest, args...)
	if err != nil {
		return nil, fmt.Errorf("read devices: %w", err)
	}
	return devices, nil
}

// Count implements registry.Store.
func (s *Store) Count(ctx context.Context, filter registry.Filter) (registry.Counts, error) {
	n, err := s.db.Counts(ctx, "devices", presenceColumn(filter), where(filter))
	if err != nil {
		return registry.Counts{}, err
	}
	counts := registry.Counts{
		Online: n[string(device.Online)], Offline: n[string(device.Offline)], Unknown: n[string(device.Unknown)],
	}
	counts.Total = counts.Online + counts.Offline + counts.Unknown
	return counts, nil
}
