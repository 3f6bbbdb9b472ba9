package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/trip"
)

// fixKey identifies a fix within a track.
type fixKey struct {
	at                  int64
	latitude, longitude float64
}

func keyOf(p trip.Position) fixKey { return fixKey{sqldb.Micros(p.At), p.Latitude, p.Longitude} }

// newPositions returns the positions that are new in the track, each once and in order.
func newPositions(ctx context.Context, tx *sqldb.Tx, tripID string, positions []trip.Position) ([]trip.Position, error) {
	if len(positions) == 0 {
		return nil, nil
	}
	seen, err := fixKeysBetween(ctx, tx, tripID, positions)
	if err != nil {
		return nil, fmt.Errorf("look for known fixes: %w", err)
	}
	var fresh []trip.Position
	for _, p := range positions {
		if !seen[keyOf(p)] {
			seen[keyOf(p)] = true
			fresh = append(fresh, p)
		}
	}
	return fresh, nil
}

func fixKeysBetween(ctx context.Context, tx *sqldb.Tx, tripID string, positions []trip.Position) (map[fixKey]bool, error) {
	first, last := positions[0].At, positions[0].At
	for _, p := range positions {
		if p.At.Before(first) {
			first = p.At
		}
		if p.At.After(last) {
			last = p.At
		}
	}
	keys, err := sqldb.Select(ctx, tx, scanFixKey, `SELECT at, latitude, longitude FROM fixes WHERE trip_id = $1 AND at BETWEEN $2 AND $3`,
		tripID, sqldb.Micros(first), sqldb.Micros(last))
	seen := make(map[fixKey]bool, len(keys)+len(positions))
	for _, s := range keys {
		seen[s] = true
	}
	return seen, err
}

func scanFixKey(row sqldb.Row) (fixKey, error) {
	var s fixKey
	err := row.Scan(&s.at, &s.latitude, &s.longitude)
	return s, err
}

const fixColumns = `trip_id, ordinal, at, latitude, longitude, accuracy, place, starts_segment, rejection`

func insertFixes(ctx context.Context, tx *sqldb.Tx, tripID string, fixes []trip.Fix) error {
	rows := make([][]any, len(fixes))
	for i, f := range fixes {
		rows[i] = []any{tripID, f.Ordinal, sqldb.Micros(f.At), f.Latitude, f.Longitude, f.Accuracy, f.Place, f.StartsSegment, string(f.Rejection)}
	}
	_, err := tx.Insert(ctx, "fixes", fixColumns, rows, "")
	return err
}

// Tracks implements trip.Store. Of n fixes, counted from 0, it selects those at floor(i*(n-1)/(limit-1)) for i from 0
// to limit-1. The index k is one of them if a multiple of n-1 is between k*(limit-1), included, and (k+1)*(limit-1),
// excluded.
func (s *Store) Tracks(ctx context.Context, ids []string, accountID string, limit int) ([]trip.Track, error) {
	var w sqldb.Where
	w.In("id", ids)
	if accountID != "" {
		w.And("account_id = ?", accountID)
	}
	spread := `k = n - 1`
	if limit > 1 {
		steps := w.Arg(int64(limit - 1))
		spread = strings.ReplaceAll(`((k * CAST(:m AS BIGINT) + n - 2) / (n - 1)) * (n - 1) < (k + 1) * CAST(:m AS BIGINT)`, ":m", steps)
	}
	rows, err := s.db.Read().QueryContext(ctx, `SELECT `+fixColumns+` FROM (
			SELECT `+fixColumns+`,
				ROW_NUMBER() OVER (PARTITION BY trip_id ORDER BY at, ordinal) - 1 AS k,
				COUNT(*) OVER (PARTITION BY trip_id) AS n
			FROM fixes WHERE trip_id IN (SELECT id FROM trips`+w.SQL()+`)
		) AS numbered
		WHERE CASE WHEN n <= `+w.Arg(int64(limit))+` THEN TRUE ELSE `+spread+` END
		ORDER BY trip_id, at, ordinal`, w.Args()...)
	if err != nil {
		return nil, fmt.Errorf("read tracks: %w", err)
	}
	return groupByTrip(rows)
}

func groupByTrip(rows *sql.Rows) ([]trip.Track, error) {
	var tracks []trip.Track
	_, err := sqldb.Collect(rows, func(row sqldb.Row) (struct{}, error) {
		id, fix, err := scanFix(row)
		if len(tracks) == 0 || tracks[len(tracks)-1].TripID != id {
			tracks = append(tracks, trip.Track{TripID: id})
		}
		last := &tracks[len(tracks)-1]
		last.Fixes = append(last.Fixes, fix)
		return struct{}{}, err
	})
	if err != nil {
		return nil, fmt.Errorf("read tracks: %w", err)
	}
	return tracks, nil
}

func scanFix(row sqldb.Row) (tripID string, f trip.Fix, err error) {
	var at int64
	err = row.Scan(&tripID, &f.Ordinal, &at, &f.Latitude, &f.Longitude, &f.Accuracy, &f.Place, &f.StartsSegment, &f.Rejection)
	f.At = sqldb.Time(at)
	return tripID, f, err
}
