// Package store persists activities in SQL, on SQLite or PostgreSQL. A unique index over source, external id and
// account deduplicates activities by name: of two concurrent inserts, the second waits for the first and returns it.
// A change locks the row of its activity, so changes of one activity are serial.
package store

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/activity"
)

//go:embed migrations
var migrations embed.FS

// Migrations returns the schema migrations, for sqldb.DB.Migrate.
func Migrations() fs.FS {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return migrations // impossible: the folder is embedded above
	}
	return sub
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
		return made, s.emit(ctx, tx, added, made)
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
