package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/device/telemetry"
)

// maxInstants limits the times of one lookup: see maxArguments in internal/sqldb.
const maxInstants = 200

// instant is the key and the time of readings.
type instant struct {
	key string
	at  int64
}

// Correct implements telemetry.Store.
func (s *Store) Correct(ctx context.Context, deviceID string, readings []telemetry.Reading, seen *time.Time) (stored, updated int64, err error) {
	wanted := map[instant][]float64{}
	for _, r := range readings {
		i := instant{r.Key, sqldb.Micros(r.At)}
		if !slices.Contains(wanted[i], r.Value) {
			wanted[i] = append(wanted[i], r.Value)
		}
	}
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
		if err := updateLastSeen(ctx, tx, deviceID, seen); err != nil {
			return err
		}
		corrected, err := deleteOthers(ctx, tx, deviceID, wanted)
		if err != nil {
			return err
		}
		var rows [][]any
		for i, values := range wanted {
			for _, value := range values {
				rows = append(rows, []any{deviceID, i.key, i.at, value, nil})
			}
		}
		inserted, err := insertReadings(ctx, tx, rows)
		updated, stored = corrected, inserted-corrected
		return err
	})
	if err != nil {
		return 0, 0, fmt.Errorf("correct readings: %w", err)
	}
	return stored, updated, nil
}

// deleteOthers deletes the values that new values replace, and returns the number of these new values.
func deleteOthers(ctx context.Context, tx *sqldb.Tx, deviceID string, wanted map[instant][]float64) (corrected int64, err error) {
	there, err := valuesAt(ctx, tx, deviceID, wanted)
	if err != nil {
		return 0, err
	}
	for i, stored := range there {
		var others []float64
		fresh := slices.Clone(wanted[i])
		for _, v := range stored {
			fresh = slices.DeleteFunc(fresh, func(f float64) bool { return f == v.value })
			if !v.sent && !slices.Contains(wanted[i], v.value) {
				others = append(others, v.value)
			}
		}
		if len(others) == 0 || len(fresh) == 0 {
			continue
		}
		corrected += int64(len(fresh))
		for _, value := range others {
			_, err := tx.ExecContext(ctx, `DELETE FROM readings WHERE device_id = $1 AND key = $2 AND at = $3 AND value = $4`, deviceID, i.key, i.at, value)
			if err != nil {
				return 0, fmt.Errorf("delete a corrected reading: %w", err)
			}
		}
	}
	return corrected, nil
}

// storedValue is a value, and whether it came from the device itself.
type storedValue struct {
	value float64
	sent  bool
}

// valuesAt returns the stored values at the instants.
func valuesAt(ctx context.Context, tx *sqldb.Tx, deviceID string, wanted map[instant][]float64) (map[instant][]storedValue, error) {
	times := map[string][]int64{}
	for i := range wanted {
		times[i.key] = append(times[i.key], i.at)
	}
	there := map[instant][]storedValue{}
	for key, all := range times {
		for part := range slices.Chunk(all, maxInstants) {
			var w sqldb.Where
			w.And("device_id = ?", deviceID)
			w.And("key = ?", key)
			marks := make([]string, len(part))
			for n, at := range part {
				marks[n] = w.Arg(at)
			}
			w.And("at IN (" + strings.Join(marks, ", ") + ")")
			_, err := sqldb.Select(ctx, tx, func(row sqldb.Row) (struct{}, error) {
				i, v := instant{key: key}, storedValue{}
				err := row.Scan(&i.at, &v.value, &v.sent)
				there[i] = append(there[i], v)
				return struct{}{}, err
			}, `SELECT at, value, arrived_at IS NOT NULL FROM readings`+w.SQL(), w.Args()...)
			if err != nil {
				return nil, fmt.Errorf("find corrected readings: %w", err)
			}
		}
	}
	return there, nil
}
