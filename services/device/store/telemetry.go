package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/telemetry"
)

// Record implements telemetry.Store.
func (s *Store) Record(ctx context.Context, deviceID string, readings []telemetry.Reading, seen *time.Time) (stored int64, err error) {
	rows := make([][]any, len(readings))
	for i, r := range readings {
		rows[i] = []any{deviceID, r.Key, sqldb.Micros(r.At), r.Value, nil}
	}
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
		if err := updateLastSeen(ctx, tx, deviceID, seen); err != nil {
			return err
		}
		var err error
		stored, err = insertReadings(ctx, tx, rows)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("record readings: %w", err)
	}
	return stored, nil
}

// updateLastSeen locks an existing device, and updates its last-seen time.
func updateLastSeen(ctx context.Context, tx *sqldb.Tx, deviceID string, seen *time.Time) error {
	d, err := lockDevice(ctx, tx, "id = $1", deviceID)
	if errors.Is(err, sql.ErrNoRows) {
		return device.Missing(deviceID)
	}
	if err != nil {
		return fmt.Errorf("note when %s was seen: %w", deviceID, err)
	}
	if seen == nil {
		return nil
	}
	rider, err := riderOf(ctx, tx, d, seen)
	if err != nil {
		return err
	}
	after := d.Noticed(*seen, rider)
	privacy, err := sqldb.NullJSON(after.Privacy)
	if err != nil {
		return fmt.Errorf("write the privacy: %w", err)
	}
	_, err = tx.ExecContext(ctx, `UPDATE devices SET last_seen_at = $1, privacy = $2 WHERE id = $3`, sqldb.NullMicros(after.LastSeenAt), privacy, deviceID)
	if err != nil {
		return fmt.Errorf("note when %s was seen: %w", deviceID, err)
	}
	return nil
}

// Query implements telemetry.Store. The database aggregates; only points are read.
func (s *Store) Query(ctx context.Context, q telemetry.Query) ([]telemetry.Series, error) {
	var w sqldb.Where
	w.In("device_id", q.DeviceIDs)
	w.In("key", q.Keys)
	w.And("at >= ?", sqldb.Micros(q.From))
	w.And("at < ?", sqldb.Micros(q.To))
	points := selection(&w, q)
	rows, err := s.db.Read().QueryContext(ctx, points+` LIMIT `+w.Arg(telemetry.MaxPoints+1), w.Args()...)
	if err != nil {
		return nil, fmt.Errorf("query telemetry: %w", err)
	}
	startOf := sqldb.Time
	if q.LocalSteps() {
		startOf = q.StartOf
	}
	return collectSeries(rows, startOf)
}

// selection selects device, key, time, value and time of arrival of points, in order: of readings and of rolled up
// steps.
func selection(w *sqldb.Where, q telemetry.Query) string {
	condition := w.SQL()
	raw, rolled := condition, condition
	if q.Viewer != nil {
		viewer := w.Arg(*q.Viewer)
		raw += ` AND ` + riderIn("readings.device_id", "readings.at") + ` IN ('', ` + viewer + `)
			AND (arrived_at IS NULL OR ` + riderIn("readings.device_id", "readings.arrived_at") + ` IN ('', ` + viewer + `))`
		rolled += ` AND rider IN ('', ` + viewer + `)`
	}
	if q.Step == 0 {
		return `SELECT device_id, key, at, value, arrived_at FROM readings` + raw + `
			UNION ALL SELECT device_id, key, at, SUM(sum) / SUM(count), CAST(NULL AS BIGINT) FROM readings_rolled` + rolled + `
			GROUP BY device_id, key, at ORDER BY device_id, key, at, value`
	}
	step := w.Arg(q.Step.Microseconds())
	local := localTime(q)
	from := "at"
	if q.LocalSteps() {
		from = local
	}
	// The remainder of a negative time (before 1970) is negative; adding a step makes it positive.
	start := from + ` - (` + local + ` % ` + step + ` + ` + step + `) % ` + step + ` AS start`
	stepped := `SELECT device_id, key, ` + start + `, 1 AS count, value AS sum, value AS least, value AS greatest, value AS last, at AS last_at
			FROM readings` + raw + `
		UNION ALL SELECT device_id, key, ` + start + `, count, sum, least, greatest, last, last_at FROM readings_rolled` + rolled
	if q.Aggregate == telemetry.Last {
		return `SELECT device_id, key, start, last, CAST(NULL AS BIGINT) FROM (
			SELECT device_id, key, start, last,
				ROW_NUMBER() OVER (PARTITION BY device_id, key, start ORDER BY last_at DESC, last DESC) AS place
			FROM (` + stepped + `) AS stepped
		) AS ranked WHERE place = 1 ORDER BY device_id, key, start`
	}
	return `SELECT device_id, key, start, ` + aggregate(q.Aggregate) + `, CAST(NULL AS BIGINT) FROM (` + stepped + `) AS stepped
		GROUP BY device_id, key, start ORDER BY device_id, key, start`
}

// localTime returns the expression of the local time of a reading.
func localTime(q telemetry.Query) string {
	offsets := q.Offsets()
	if len(offsets) == 0 {
		return "at"
	}
	var text strings.Builder
	text.WriteString("(at + CASE")
	for i, o := range offsets[1:] {
		fmt.Fprintf(&text, " WHEN at < %d THEN %d", o.Since, offsets[i].Micros)
	}
	fmt.Fprintf(&text, " WHEN 1 = 1 THEN %d END)", offsets[len(offsets)-1].Micros)
	return text.String()
}

func aggregate(a telemetry.Aggregate) string {
	switch a {
	case telemetry.Min:
		return "MIN(least)"
	case telemetry.Max:
		return "MAX(greatest)"
	case telemetry.Sum:
		return "SUM(sum)"
	case telemetry.Count:
		return "CAST(SUM(count) AS DOUBLE PRECISION)"
	}
	return "SUM(sum) / SUM(count)"
}

// collectSeries groups points, ordered by device and key, into series.
func collectSeries(rows *sql.Rows, startOf func(micros int64) time.Time) ([]telemetry.Series, error) {
	var all []telemetry.Series
	points := 0
	_, err := sqldb.Collect(rows, func(row sqldb.Row) (struct{}, error) {
		var deviceID, key string
		var at int64
		var value float64
		var arrived sql.NullInt64
		if err := row.Scan(&deviceID, &key, &at, &value, &arrived); err != nil {
			return struct{}{}, err
		}
		if points++; points > telemetry.MaxPoints {
			return struct{}{}, telemetry.TooManyPoints()
		}
		if last := len(all) - 1; last < 0 || all[last].DeviceID != deviceID || all[last].Key != key {
			all = append(all, telemetry.Series{DeviceID: deviceID, Key: key})
		}
		series := &all[len(all)-1]
		series.Points = append(series.Points, telemetry.Point{At: startOf(at), Value: value, ArrivedAt: sqldb.NullTime(arrived)})
		return struct{}{}, nil
	})
	if err != nil {
		return nil, fmt.Errorf("query telemetry: %w", err)
	}
	return all, nil
}
