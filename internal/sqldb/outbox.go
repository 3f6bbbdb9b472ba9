package sqldb

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/ids"
)

// Event announces a committed change. It is published if and only if its transaction commits.
type Event struct {
	Sequence int64 // the order within this database; assigned by the database
	ID       string
	Subject  string // the subject in the broker: event.trip.changed.trip_01…
	Data     []byte
	At       time.Time
}

// Emit adds an event to the outbox in this transaction. The events of one entity have the order of its changes,
// because the entity's row is written, and so locked, before the event.
func (tx *Tx) Emit(ctx context.Context, at time.Time, subject string, data []byte) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO outbox (id, subject, data, created_at) VALUES ($1, $2, $3, $4)`,
		ids.New(ids.Event), subject, data, Micros(at))
	if err != nil {
		return fmt.Errorf("emit %s: %w", subject, err)
	}
	tx.emitted = true
	return nil
}

// Emitted receives a value after a commit with events. Commits may share a value, and commits of other processes send
// none, so a relay must poll as well.
func (db *DB) Emitted() <-chan struct{} { return db.emitted }

func (db *DB) signal() {
	select {
	case db.emitted <- struct{}{}:
	default:
	}
}

// PendingEvents returns the oldest events in the outbox.
func (db *DB) PendingEvents(ctx context.Context, limit int) ([]Event, error) {
	events, err := Select(ctx, db.read, scanEvent,
		`SELECT seq, id, subject, data, created_at FROM outbox ORDER BY seq LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("read the outbox: %w", err)
	}
	return events, nil
}

func scanEvent(row Row) (Event, error) {
	var e Event
	var at int64
	err := row.Scan(&e.Sequence, &e.ID, &e.Subject, &e.Data, &at)
	e.At = Time(at)
	return e, err
}

// DropEvents deletes events that the broker has acknowledged.
func (db *DB) DropEvents(ctx context.Context, events []Event) error {
	return db.Write(ctx, func(tx *Tx) error {
		for _, e := range events {
			if _, err := tx.ExecContext(ctx, `DELETE FROM outbox WHERE seq = $1`, e.Sequence); err != nil {
				return fmt.Errorf("drop event %s: %w", e.ID, err)
			}
		}
		return nil
	})
}
