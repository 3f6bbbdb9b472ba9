package sqldb

import (
	"context"
	"errors"
	"fmt"
)

type groupKey struct{}

// Group runs change in one transaction, which each Write under its context joins: many small writes share one commit.
// A failed Write is rolled back to its savepoint and does not fail the group. DB.Read does not see uncommitted
// writes. change must use one goroutine, and may run twice.
func (db *DB) Group(ctx context.Context, change func(ctx context.Context) error) error {
	return db.Write(ctx, func(tx *Tx) error {
		return change(context.WithValue(ctx, groupKey{}, tx))
	})
}

// Nested runs change at a savepoint: when it fails, its writes are rolled back and the transaction goes on.
func (tx *Tx) Nested(ctx context.Context, change func(tx *Tx) error) error {
	if _, err := tx.ExecContext(ctx, "SAVEPOINT nested"); err != nil {
		return fmt.Errorf("begin a nested write: %w", err)
	}
	emitted := tx.emitted
	if err := change(tx); err != nil {
		tx.emitted = emitted
		_, rollback := tx.ExecContext(ctx, "ROLLBACK TO SAVEPOINT nested")
		_, release := tx.ExecContext(ctx, "RELEASE SAVEPOINT nested")
		if failed := errors.Join(rollback, release); failed != nil {
			return errors.Join(err, fmt.Errorf("roll back a nested write: %w", failed))
		}
		return err
	}
	if _, err := tx.ExecContext(ctx, "RELEASE SAVEPOINT nested"); err != nil {
		return fmt.Errorf("end a nested write: %w", err)
	}
	return nil
}
