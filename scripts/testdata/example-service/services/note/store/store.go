// Package store stores notes in SQL, on SQLite or PostgreSQL. It promises what note.Store promises.
package store

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/note"
)

//go:embed migrations
var migrations embed.FS

// Migrations returns the schema, for sqldb.DB.Migrate.
func Migrations() fs.FS {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return migrations // never: the folder is embedded above
	}
	return sub
}

// Store is a note.Store. It is safe for concurrent use.
type Store struct {
	db     *sqldb.DB
	encode func(note.Note) ([]byte, error)
}

// New returns a store over a migrated database. encode makes the payload of events.
func New(db *sqldb.DB, encode func(note.Note) ([]byte, error)) *Store {
	return &Store{db: db, encode: encode}
}

// Create stores a new note with its event.
func (s *Store) Create(ctx context.Context, n note.Note) error {
	payload, err := s.encode(n)
	if err != nil {
		return fmt.Errorf("encode note %s: %w", n.ID, err)
	}
	return s.db.Write(ctx, func(tx *sqldb.Tx) error {
		row := []any{n.ID, n.AccountID, n.Text, sqldb.Micros(n.CreatedAt)}
		if _, err := tx.Insert(ctx, "notes", "id, account_id, text, created_at", [][]any{row}, ""); err != nil {
			return err
		}
		return tx.Emit(ctx, n.CreatedAt, "event.note.added."+n.ID, payload)
	})
}

// Get returns the visible notes among the ids.
func (s *Store) Get(ctx context.Context, noteIDs []string, visible entity.Visibility) ([]note.Note, error) {
	owner, some := visible.OwnerOnly()
	if !some {
		return nil, nil
	}
	var w sqldb.Where
	w.In("id", noteIDs)
	if owner != "" {
		w.And("account_id = ?", owner)
	}
	notes, err := sqldb.Select(ctx, s.db.Read(), scan, `SELECT id, account_id, text, created_at FROM notes`+w.SQL(), w.Args()...)
	if err != nil {
		return nil, fmt.Errorf("read notes: %w", err)
	}
	return notes, nil
}

func scan(row sqldb.Row) (note.Note, error) {
	var n note.Note
	var created int64
	err := row.Scan(&n.ID, &n.AccountID, &n.Text, &created)
	n.CreatedAt = sqldb.Time(created)
	return n, err
}
