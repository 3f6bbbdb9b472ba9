// Package store persists trips in SQL, on SQLite or PostgreSQL. Two partial unique indexes enforce one open trip per
// account and per vehicle. A change first locks the row of the trip by an update without effect, so changes of one
// trip are serial on both engines.
package store

import (
	"context"
	"embed"
	"fmt"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/trip"
)

//go:embed migrations
var migrations embed.FS

// Migrations returns the schema, for sqldb.DB.Migrate.
func Migrations() sqldb.Schema {
	return sqldb.Schema{Files: migrations, Counted: []sqldb.Counted{
		{
			Table: "trips", Owner: "row.account_id",
			Bytes: sqldb.TextBytes(900, "start_position", "last_position", "end_position", "tariff", "measurement", "source", "external_id", "external_id"),
		},
		{
			Table: "fixes", Owner: "(SELECT account_id FROM trips WHERE id = row.trip_id)", Bytes: sqldb.TextBytes(240, "place", "rejection"),
		},
	}}
}

// Store is a trip.Store over a database. It is safe for concurrent use.
type Store struct {
	db     *sqldb.DB
	encode func(trip.Trip) ([]byte, error)
}

// New returns a store over a migrated database. encode encodes the payloads of events.
func New(db *sqldb.DB, encode func(trip.Trip) ([]byte, error)) *Store {
	return &Store{db: db, encode: encode}
}

// Create implements trip.Store.
func (s *Store) Create(ctx context.Context, key idempotency.Key, change trip.Change) (trip.Trip, error) {
	t, err := sqldb.WriteOnce(ctx, s.db, key, change.At, func(tx *sqldb.Tx) (trip.Trip, error) {
		if change.Refusal != nil {
			return trip.Trip{}, change.Refusal
		}
		if change.Planned {
			if err := takePlan(ctx, tx, change.Trip.ID); err != nil {
				return trip.Trip{}, err
			}
		}
		if _, err := insertTrip(ctx, tx, change.Trip, ""); err != nil {
			return trip.Trip{}, err
		}
		return change.Trip, s.writeFixesAndEvent(ctx, tx, change)
	})
	switch {
	case sqldb.Violates(err, "trips_open_account", "trips.account_id"):
		return trip.Trip{}, trip.AlreadyOpen().Because(err)
	case sqldb.Violates(err, "trips_open_vehicle", "trips.vehicle_id"):
		return trip.Trip{}, trip.VehicleInUse().Because(err)
	case err != nil:
		return trip.Trip{}, fmt.Errorf("create trip: %w", err)
	}
	return t, nil
}

// Change implements trip.Store.
func (s *Store) Change(ctx context.Context, id, accountID string, positions []trip.Position, decide trip.Decide) (trip.Trip, error) {
	var t trip.Trip
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		var err error
		if t, err = lock(ctx, tx, id, accountID); err != nil {
			return err
		}
		t, err = s.apply(ctx, tx, t, positions, decide)
		return err
	})
	if err != nil {
		return trip.Trip{}, fmt.Errorf("change trip: %w", err)
	}
	return t, nil
}

// ChangeImported implements trip.Store.
func (s *Store) ChangeImported(ctx context.Context, draft trip.Trip, positions []trip.Position, decide trip.Decide) (t trip.Trip, created bool, err error) {
	draft.Version = 0
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
		if created, err = insertTrip(ctx, tx, draft, onRecordingDoNothing); err != nil {
			return err
		}
		id, err := recordingID(ctx, tx, draft)
		if err != nil {
			return err
		}
		if t, err = lock(ctx, tx, id, ""); err != nil {
			return err
		}
		t, err = s.apply(ctx, tx, t, positions, decide)
		return err
	})
	if err != nil {
		return trip.Trip{}, false, fmt.Errorf("import fixes: %w", err)
	}
	return t, created, nil
}

// CreateImported implements trip.Store.
func (s *Store) CreateImported(ctx context.Context, changes []trip.Change, correct func(trip.Trip, trip.Change) *trip.Change) (counts trip.ImportCounts, err error) {
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
		counts = trip.ImportCounts{}
		for _, change := range changes {
			isNew, err := insertTrip(ctx, tx, change.Trip, onRecordingDoNothing)
			if err != nil {
				return err
			}
			if !isNew {
				corrected, err := s.correct(ctx, tx, change, correct)
				if err != nil {
					return err
				}
				counts.Updated += corrected
				continue
			}
			if err := s.writeFixesAndEvent(ctx, tx, change); err != nil {
				return err
			}
			counts.Stored++
		}
		return nil
	})
	if err != nil {
		return trip.ImportCounts{}, fmt.Errorf("import rides: %w", err)
	}
	return counts, nil
}

// correct replaces a stored recording and its track, and returns the number of corrected trips.
func (s *Store) correct(ctx context.Context, tx *sqldb.Tx, imported trip.Change, decide func(trip.Trip, trip.Change) *trip.Change) (int64, error) {
	id, err := recordingID(ctx, tx, imported.Trip)
	if err != nil {
		return 0, err
	}
	stored, err := lock(ctx, tx, id, "")
	if err != nil {
		return 0, err
	}
	change := decide(stored, imported)
	if change == nil {
		return 0, nil
	}
	if err := updateTrip(ctx, tx, change.Trip); err != nil {
		return 0, err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE trips SET distance_source = $1 WHERE id = $2`, string(change.Trip.DistanceSource), id); err != nil {
		return 0, fmt.Errorf("update the source of the distance: %w", err)
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM fixes WHERE trip_id = $1`, id); err != nil {
		return 0, fmt.Errorf("delete the track: %w", err)
	}
	return 1, s.writeFixesAndEvent(ctx, tx, *change)
}

func (s *Store) apply(ctx context.Context, tx *sqldb.Tx, t trip.Trip, positions []trip.Position, decide trip.Decide) (trip.Trip, error) {
	fresh, err := newPositions(ctx, tx, t.ID, positions)
	if err != nil {
		return trip.Trip{}, err
	}
	change, err := decide(t, fresh)
	if err != nil || change == nil {
		return t, err
	}
	if err := updateTrip(ctx, tx, change.Trip); err != nil {
		return trip.Trip{}, err
	}
	return change.Trip, s.writeFixesAndEvent(ctx, tx, *change)
}

func (s *Store) writeFixesAndEvent(ctx context.Context, tx *sqldb.Tx, change trip.Change) error {
	if err := insertFixes(ctx, tx, change.Trip.ID, change.Fixes); err != nil {
		return err
	}
	for _, r := range change.Recounts {
		_, err := tx.ExecContext(ctx, `UPDATE fixes SET rejection = $1 WHERE trip_id = $2 AND ordinal = $3`, string(r.After), change.Trip.ID, r.Ordinal)
		if err != nil {
			return fmt.Errorf("recount fix %d: %w", r.Ordinal, err)
		}
	}
	if change.Limited {
		if err := tx.CheckStorage(ctx, change.Trip.AccountID); err != nil {
			return err
		}
	}
	if change.Event == "" {
		return nil
	}
	payload, err := s.encode(change.Trip)
	if err != nil {
		return fmt.Errorf("encode trip %s: %w", change.Trip.ID, err)
	}
	return tx.Emit(ctx, change.At, "event.trip."+string(change.Event)+"."+change.Trip.ID, payload)
}

// lock locks the row of a trip and reads it, if the trip is the account's ("" for any account).
func lock(ctx context.Context, tx *sqldb.Tx, id, accountID string) (trip.Trip, error) {
	var w sqldb.Where
	w.And("id = ?", id)
	if accountID != "" {
		w.And("account_id = ?", accountID)
	}
	locked, err := sqldb.Affects(tx.ExecContext(ctx, `UPDATE trips SET version = version`+w.SQL(), w.Args()...))
	if err != nil {
		return trip.Trip{}, fmt.Errorf("lock: %w", err)
	}
	if !locked {
		return trip.Trip{}, errs.Missing("trip", id)
	}
	return scanTrip(tx.QueryRowContext(ctx, `SELECT `+columns+` FROM trips WHERE id = $1`, id))
}

func recordingID(ctx context.Context, tx *sqldb.Tx, draft trip.Trip) (string, error) {
	var id string
	err := tx.QueryRowContext(ctx, `SELECT id FROM trips WHERE source = $1 AND external_id = $2 AND source <> ''`,
		draft.Source, draft.ExternalID).Scan(&id)
	if err != nil {
		return "", fmt.Errorf("find the recording: %w", err)
	}
	return id, nil
}
