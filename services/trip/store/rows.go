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
	gap, fixes, distance_metres, distance_source, tariff, duration_seconds, fee_minor, source, external_id`

// onRecordingDoNothing leaves out a trip whose source and external id are there already.
const onRecordingDoNothing = ` ON CONFLICT (source, external_id) WHERE source <> '' DO NOTHING`

func scanTrip(row sqldb.Row) (trip.Trip, error) {
	var t trip.Trip
	var start, tariff string
	var last, end sql.NullString
	err := row.Scan(&t.ID, &t.Version, &t.Status, &t.AccountID, &t.VehicleID, &start, &last, &end,
		&t.Gap, &t.Fixes, &t.DistanceMetres, &t.DistanceSource, &tariff, &t.DurationSeconds, &t.Fee.AmountMinor,
		&t.Source, &t.ExternalID)
	if err != nil {
		return trip.Trip{}, fmt.Errorf("scan trip: %w", err)
	}
	if err := json.Unmarshal([]byte(start), &t.Start); err != nil {
		return trip.Trip{}, fmt.Errorf("read the start of %s: %w", t.ID, err)
	}
	if err := json.Unmarshal([]byte(tariff), &t.Tariff); err != nil {
		return trip.Trip{}, fmt.Errorf("read the tariff of %s: %w", t.ID, err)
	}
	t.Fee.Currency = t.Tariff.Currency
	if t.Last, err = position(last); err != nil {
		return trip.Trip{}, fmt.Errorf("read the last fix of %s: %w", t.ID, err)
	}
	if t.End, err = position(end); err != nil {
		return trip.Trip{}, fmt.Errorf("read the end of %s: %w", t.ID, err)
	}
	return t, nil
}

func position(text sql.NullString) (*trip.Position, error) {
	if !text.Valid {
		return nil, nil
	}
	var p trip.Position
	if err := json.Unmarshal([]byte(text.String), &p); err != nil {
		return nil, err
	}
	return &p, nil
}

// changing is the columns of a trip that change, with their values.
func changing(t trip.Trip) (names []string, values []any, err error) {
	start, err := json.Marshal(t.Start)
	if err != nil {
		return nil, nil, fmt.Errorf("write the start: %w", err)
	}
	last, err := nullJSON(t.Last)
	if err != nil {
		return nil, nil, fmt.Errorf("write the last fix: %w", err)
	}
	end, err := nullJSON(t.End)
	if err != nil {
		return nil, nil, fmt.Errorf("write the end: %w", err)
	}
	names = []string{
		"version", "status", "start_at", "start_position", "last_position", "end_position", "gap", "fixes",
		"distance_metres", "duration_seconds", "fee_minor",
	}
	return names, []any{
		t.Version, string(t.Status), sqldb.Micros(t.Start.At), string(start), last, end, t.Gap, t.Fixes,
		t.DistanceMetres, t.DurationSeconds, t.Fee.AmountMinor,
	}, nil
}

func nullJSON(p *trip.Position) (sql.NullString, error) {
	if p == nil {
		return sql.NullString{}, nil
	}
	text, err := json.Marshal(p)
	return sql.NullString{String: string(text), Valid: err == nil}, err
}

// insertTrip tells whether the trip was new; without onConflict one that is not is an error.
func insertTrip(ctx context.Context, tx *sqldb.Tx, t trip.Trip, onConflict string) (isNew bool, err error) {
	names, values, err := changing(t)
	if err != nil {
		return false, err
	}
	tariff, err := json.Marshal(t.Tariff)
	if err != nil {
		return false, fmt.Errorf("write the tariff: %w", err)
	}
	names = append(names, "id", "account_id", "vehicle_id", "distance_source", "tariff", "source", "external_id")
	values = append(values, t.ID, t.AccountID, t.VehicleID, string(t.DistanceSource), string(tariff), t.Source, t.ExternalID)
	inserted, err := tx.ExecContext(ctx, `INSERT INTO trips (`+list(names)+`) VALUES `+tuples(1, len(names))+onConflict, values...)
	if err != nil {
		return false, fmt.Errorf("insert trip: %w", err)
	}
	n, err := inserted.RowsAffected()
	return n == 1, err
}

// updateTrip keeps a trip whose row is locked.
func updateTrip(ctx context.Context, tx *sqldb.Tx, t trip.Trip) error {
	names, values, err := changing(t)
	if err != nil {
		return err
	}
	values = append(values, t.ID)
	_, err = tx.ExecContext(ctx, `UPDATE trips SET (`+list(names)+`) = `+tuples(1, len(names))+
		fmt.Sprintf(` WHERE id = $%d`, len(values)), values...)
	if err != nil {
		return fmt.Errorf("update trip: %w", err)
	}
	return nil
}
