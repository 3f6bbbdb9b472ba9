// Package store persists activities in SQL, on SQLite or PostgreSQL. A unique index over source, external id and
// account deduplicates activities by name: of two concurrent inserts, the second waits for the first and returns it.
// A change locks the row of its activity, so changes of one activity are serial.
package store

import (
	"cmp"
	"context"
	"embed"
	"fmt"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/activity"
)

//go:embed migrations
var migrations embed.FS

// Migrations returns the schema, for sqldb.DB.Migrate. A public activity counts for the account that recorded it.
func Migrations() sqldb.Schema {
	return sqldb.Schema{Files: migrations, Counted: []sqldb.Counted{
		{
			Table: "activities", Owner: "CASE WHEN row.account_id <> '' THEN row.account_id ELSE row.recorded_by END",
			Bytes: sqldb.TextBytes(900, "title", "content", "links", "data", "position", "source", "external_id", "external_id", "unit", "organisation", "subject",
				"actor", "site", "telescope", "instrument", "programme", "observer", "target", "status",
				"actor_folded", "telescope_folded", "instrument_folded", "programme_folded", "observer_folded", "target_folded", "status_folded"),
		},
		{
			Table: "activity_history", Owner: "CASE WHEN row.account_id <> '' THEN row.account_id ELSE row.recorded_by END",
			Bytes: sqldb.TextBytes(500, "source", "external_id", "replaced_by", "activity"),
		},
		{
			Table: "activity_totals", Owner: "row.account_id",
			Bytes: sqldb.TextBytes(300, "source", "source", "external_id", "activity"),
		},
	}}
}

// Store is an activity.Store over a database. It is safe for concurrent use.
type Store struct {
	db     *sqldb.DB
	encode func(activity.Activity) ([]byte, error)
}

// New returns a store over a migrated database. encode returns the payload of an event.
func New(db *sqldb.DB, encode func(activity.Activity) ([]byte, error)) *Store {
	return &Store{db: db, encode: encode}
}

// checkStorage checks the storage of the owner; that of the caller for a public activity.
func checkStorage(ctx context.Context, tx *sqldb.Tx, a activity.Activity) error {
	return tx.CheckStorage(ctx, cmp.Or(a.AccountID, caller.FromContext(ctx).AccountID))
}

// Create implements activity.Store.
func (s *Store) Create(ctx context.Context, key idempotency.Key, made activity.Activity) (activity.Activity, error) {
	kept, err := sqldb.WriteOnce(ctx, s.db, key, made.CreatedAt, func(tx *sqldb.Tx) (activity.Activity, error) {
		isNew, err := insert(ctx, tx, made)
		if err != nil {
			return activity.Activity{}, err
		}
		if !isNew {
			return first(ctx, tx, made)
		}
		if err := s.emit(ctx, tx, added, made); err != nil {
			return activity.Activity{}, err
		}
		return made, checkStorage(ctx, tx, made)
	})
	if err != nil {
		return activity.Activity{}, fmt.Errorf("create activity: %w", err)
	}
	return kept, nil
}

func (s *Store) emit(ctx context.Context, tx *sqldb.Tx, change string, a activity.Activity) error {
	payload, err := s.encode(a)
	if err != nil {
		return fmt.Errorf("encode activity %s: %w", a.ID, err)
	}
	return tx.Emit(ctx, a.UpdatedAt, "event.activity."+change+"."+a.ID, payload)
}

func first(ctx context.Context, tx *sqldb.Tx, other activity.Activity) (activity.Activity, error) {
	return scan(tx.QueryRowContext(ctx, `SELECT `+columns+` FROM activities
		WHERE source = $1 AND external_id = $2 AND account_id = $3 AND external_id <> ''`,
		other.Source, other.ExternalID, other.AccountID))
}
