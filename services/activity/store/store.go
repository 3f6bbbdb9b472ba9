// Package store persists activities in SQL, on SQLite or PostgreSQL. It implements activity.Store.
//
// A unique index over source, external id and account deduplicates activities by name: of two concurrent inserts, the
// second waits for the first and returns it.
package store

import (
	"cmp"
	"context"
	"embed"
	"fmt"
	"io/fs"
	"slices"

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
		return made, s.emit(ctx, tx, made)
	})
	if err != nil {
		return activity.Activity{}, fmt.Errorf("create activity: %w", err)
	}
	return kept, nil
}

// Import implements activity.Store. It inserts in the order of the names, so concurrent imports of the same names wait
// for each other and do not deadlock. The events are in the order of the input.
func (s *Store) Import(ctx context.Context, made []activity.Activity) (stored int64, err error) {
	places := byName(made)
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
		stored = 0
		isNew := make([]bool, len(made))
		for _, i := range places {
			var err error
			if isNew[i], err = insert(ctx, tx, made[i]); err != nil {
				return err
			}
		}
		for i, a := range made {
			if !isNew[i] {
				continue
			}
			if err := s.emit(ctx, tx, a); err != nil {
				return err
			}
			stored++
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("import activities: %w", err)
	}
	return stored, nil
}

// byName returns the indexes of the activities in the order of their names, and for equal names in input order.
func byName(made []activity.Activity) []int {
	places := make([]int, len(made))
	for i := range places {
		places[i] = i
	}
	slices.SortStableFunc(places, func(i, j int) int {
		a, b := made[i], made[j]
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.ExternalID, b.ExternalID), cmp.Compare(a.AccountID, b.AccountID))
	})
	return places
}

func (s *Store) emit(ctx context.Context, tx *sqldb.Tx, a activity.Activity) error {
	payload, err := s.encode(a)
	if err != nil {
		return fmt.Errorf("encode activity %s: %w", a.ID, err)
	}
	return tx.Emit(ctx, a.CreatedAt, "event.activity.added."+a.ID, payload)
}

func first(ctx context.Context, tx *sqldb.Tx, other activity.Activity) (activity.Activity, error) {
	return scan(tx.QueryRowContext(ctx, `SELECT `+columns+` FROM activities
		WHERE source = $1 AND external_id = $2 AND account_id = $3 AND external_id <> ''`,
		other.Source, other.ExternalID, other.AccountID))
}
