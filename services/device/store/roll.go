package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/device"
)

// rollSteps bounds the steps of one transaction, and so the readings in memory.
const rollSteps = 24

// stepOf is a step, and the account in whose rides its readings were sent.
type stepOf struct {
	start int64
	rider string
}

// rolled is the aggregate of the readings of a step.
type rolled struct {
	count                      int64
	sum, least, greatest, last float64
	lastAt                     int64
}

func (r rolled) with(at int64, value float64) rolled {
	if r.count == 0 {
		return rolled{1, value, value, value, value, at}
	}
	r.count, r.sum, r.least, r.greatest = r.count+1, r.sum+value, min(r.least, value), max(r.greatest, value)
	if at > r.lastAt || at == r.lastAt && value > r.last {
		r.last, r.lastAt = value, at
	}
	return r
}

// DeviceIDs implements telemetry.Store, in order and with deleted devices.
func (s *Store) DeviceIDs(ctx context.Context, after string, limit int) ([]string, error) {
	return s.ids(ctx, `SELECT id FROM devices WHERE id > $1 ORDER BY id LIMIT $2`, after, limit)
}

// Roll implements telemetry.Store.
func (s *Store) Roll(ctx context.Context, deviceID string, before time.Time, step time.Duration) (int64, error) {
	var total int64
	for key, more, err := s.nextKey(ctx, deviceID, ""); more || err != nil; key, more, err = s.nextKey(ctx, deviceID, key) {
		if err != nil {
			return total, fmt.Errorf("roll up readings: %w", err)
		}
		for {
			n, err := s.rollSome(ctx, deviceID, key, sqldb.Micros(before), step.Microseconds())
			total += n
			if err != nil {
				return total, fmt.Errorf("roll up readings: %w", err)
			}
			if n == 0 {
				break
			}
		}
	}
	return total, nil
}

func (s *Store) nextKey(ctx context.Context, deviceID, after string) (key string, more bool, err error) {
	var next sql.NullString
	err = s.db.Read().QueryRowContext(ctx, `SELECT MIN(key) FROM readings WHERE device_id = $1 AND key > $2`, deviceID, after).Scan(&next)
	return next.String, next.Valid, err
}

// rollSome rolls up the oldest steps of the key, and returns the number of readings. It deletes the readings first
// and adds up the deleted rows, so a concurrent reading is not lost.
func (s *Store) rollSome(ctx context.Context, deviceID, key string, before, step int64) (n int64, err error) {
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
		n = 0
		var oldest sql.NullInt64
		err := tx.QueryRowContext(ctx, `SELECT MIN(at) FROM readings WHERE device_id = $1 AND key = $2`, deviceID, key).Scan(&oldest)
		if errors.Is(err, sql.ErrNoRows) || err == nil && (!oldest.Valid || oldest.Int64 >= before) {
			return nil
		}
		if err != nil {
			return err
		}
		end := min(before, startOf(oldest.Int64, step)+rollSteps*step)
		rows, err := tx.QueryContext(ctx, `DELETE FROM readings WHERE device_id = $1 AND key = $2 AND at < $3 RETURNING at, value,
			`+riderIn("readings.device_id", "readings.at")+`, `+riderIn("readings.device_id", "readings.arrived_at"), deviceID, key, end)
		if err != nil {
			return err
		}
		steps := map[stepOf]rolled{}
		if _, err := sqldb.Collect(rows, func(row sqldb.Row) (struct{}, error) {
			var at int64
			var value float64
			var rider, arrivedWith string
			err := row.Scan(&at, &value, &rider, &arrivedWith)
			switch {
			case rider == "":
				rider = arrivedWith
			case arrivedWith != "" && arrivedWith != rider:
				rider = device.ManyRiders
			}
			of := stepOf{startOf(at, step), rider}
			steps[of] = steps[of].with(at, value)
			n++
			return struct{}{}, err
		}); err != nil {
			return err
		}
		return writeRolled(ctx, tx, deviceID, key, steps)
	})
	return n, err
}

func startOf(at, step int64) int64 { return at - (at%step+step)%step }

// writeRolled adds steps to the stored ones: late readings roll up a step a second time.
func writeRolled(ctx context.Context, tx *sqldb.Tx, deviceID, key string, steps map[stepOf]rolled) error {
	rows := make([][]any, 0, len(steps))
	for of, r := range steps {
		rows = append(rows, []any{deviceID, key, of.start, of.rider, r.count, r.sum, r.least, r.greatest, r.last, r.lastAt})
	}
	_, err := tx.Insert(ctx, "readings_rolled", "device_id, key, at, rider, count, sum, least, greatest, last, last_at", rows,
		`ON CONFLICT (device_id, key, at, rider) DO UPDATE SET
			count = readings_rolled.count + excluded.count,
			sum = readings_rolled.sum + excluded.sum,
			least = CASE WHEN excluded.least < readings_rolled.least THEN excluded.least ELSE readings_rolled.least END,
			greatest = CASE WHEN excluded.greatest > readings_rolled.greatest THEN excluded.greatest ELSE readings_rolled.greatest END,
			last = CASE WHEN excluded.last_at > readings_rolled.last_at THEN excluded.last ELSE readings_rolled.last END,
			last_at = CASE WHEN excluded.last_at > readings_rolled.last_at THEN excluded.last_at ELSE readings_rolled.last_at END`)
	return err
}

// Forget implements telemetry.Store.
func (s *Store) Forget(ctx context.Context, deviceID string, before time.Time) error {
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM readings_rolled WHERE device_id = $1 AND at < $2`, deviceID, sqldb.Micros(before))
		return err
	})
	if err != nil {
		return fmt.Errorf("forget readings: %w", err)
	}
	return nil
}
