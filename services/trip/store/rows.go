package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/trip"
)

const columns = `id, version, status, account_id, vehicle_id, start_position, last_position, end_position,
	gap, fixes, distance_metres, distance_source, tariff, duration_seconds, fee_minor, source, external_id,
	unlock_by, errand, errand_at, failure, measurement, max_speed, ride_due`

// changing lists the columns that changes of a trip update.
const changing = `version, status, start_at, start_position, last_position, end_position, gap, fixes,
	distance_metres, duration_seconds, fee_minor, unlock_by, errand, errand_at, failure, measurement, ride_due`

// onRecordingDoNothing skips a trip whose source and external id are stored.
const onRecordingDoNothing = `ON CONFLICT (source, external_id) WHERE source <> '' DO NOTHING`

func scanTrip(row sqldb.Row) (trip.Trip, error) {
	var t trip.Trip
	var start, tariff, measurement string
	var last, end sql.NullString
	var unlockBy, taskDue, rideDue sql.NullInt64
	err := row.Scan(&t.ID, &t.Version, &t.Status, &t.AccountID, &t.VehicleID, &start, &last, &end,
		&t.Gap, &t.Fixes, &t.DistanceMetres, &t.DistanceSource, &tariff, &t.DurationSeconds, &t.Fee.AmountMinor,
		&t.Source, &t.ExternalID, &unlockBy, &t.Task, &taskDue, &t.Failure, &measurement, &t.MaxSpeed, &rideDue)
	if err != nil {
		return trip.Trip{}, fmt.Errorf("scan trip: %w", err)
	}
	if err := json.Unmarshal([]byte(start), &t.Start); err != nil {
		return trip.Trip{}, fmt.Errorf("read the start of %s: %w", t.ID, err)
	}
	if err := json.Unmarshal([]byte(tariff), &t.Tariff); err != nil {
		return trip.Trip{}, fmt.Errorf("read the tariff of %s: %w", t.ID, err)
	}
	if err := json.Unmarshal([]byte(measurement), &t.Measurement); err != nil {
		return trip.Trip{}, fmt.Errorf("read the measurement of %s: %w", t.ID, err)
	}
	t.Fee.Currency = t.Tariff.Currency
	t.UnlockBy, t.TaskDue, t.RideDue = sqldb.NullTime(unlockBy), sqldb.NullTime(taskDue), sqldb.NullTime(rideDue)
	if t.Last, err = sqldb.NullValue[trip.Position](last); err != nil {
		return trip.Trip{}, fmt.Errorf("read the last fix of %s: %w", t.ID, err)
	}
	if t.End, err = sqldb.NullValue[trip.Position](end); err != nil {
		return trip.Trip{}, fmt.Errorf("read the end of %s: %w", t.ID, err)
	}
	return t, nil
}

func changingValues(t trip.Trip) ([]any, error) {
	start, err := json.Marshal(t.Start)
	if err != nil {
		return nil, fmt.Errorf("write the start: %w", err)
	}
	last, err := sqldb.NullJSON(t.Last)
	if err != nil {
		return nil, fmt.Errorf("write the last fix: %w", err)
	}
	end, err := sqldb.NullJSON(t.End)
	if err != nil {
		return nil, fmt.Errorf("write the end: %w", err)
	}
	measurement, err := json.Marshal(t.Measurement)
	if err != nil {
		return nil, fmt.Errorf("write the measurement: %w", err)
	}
	return []any{
		t.Version, string(t.Status), sqldb.Micros(t.Start.At), string(start), last, end, t.Gap, t.Fixes,
		t.DistanceMetres, t.DurationSeconds, t.Fee.AmountMinor,
		sqldb.NullMicros(t.UnlockBy), string(t.Task), sqldb.NullMicros(t.TaskDue), t.Failure, string(measurement),
		sqldb.NullMicros(t.RideDue),
	}, nil
}

func insertTrip(ctx context.Context, tx *sqldb.Tx, t trip.Trip, onConflict string) (isNew bool, err error) {
	values, err := changingValues(t)
	if err != nil {
		return false, err
	}
	tariff, err := json.Marshal(t.Tariff)
	if err != nil {
		return false, fmt.Errorf("write the tariff: %w", err)
	}
	values = append(values, t.ID, t.AccountID, t.VehicleID, string(t.DistanceSource), string(tariff), t.Source, t.ExternalID, t.MaxSpeed)
	const names = changing + `, id, account_id, vehicle_id, distance_source, tariff, source, external_id, max_speed`
	inserted, err := tx.Insert(ctx, "trips", names, [][]any{values}, onConflict)
	return inserted == 1, err
}

func updateTrip(ctx context.Context, tx *sqldb.Tx, t trip.Trip) error {
	values, err := changingValues(t)
	if err != nil {
		return err
	}
	row := sqldb.Tuples(1, len(values))
	values = append(values, t.ID)
	_, err = tx.ExecContext(ctx, fmt.Sprintf(`UPDATE trips SET (%s) = %s WHERE id = $%d`, changing, row, len(values)), values...)
	if err != nil {
		return fmt.Errorf("update trip: %w", err)
	}
	return nil
}
