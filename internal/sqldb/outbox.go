package sqldb

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/ids"
)

// Event tells others that something changed. It becomes known when, and only when, the transaction
// that emits it is committed.
type Event struct {
	Sequence int64 // the order within this database; set by the store
	ID       string
	Subject  string // as a broker routes it: event.trip.changed.trip_01…
	Data     []byte
	At       time.Time
}

// Emit adds an event to the transaction. One entity's events keep the order of its changes, because
// the row of the entity is written, and so locked, before the event is.
func (tx *Tx) Emit(ctx context.Context, at time.Time, subject string, data []byte) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO outbox (id, subject, data, created_at) VALUES ($1, $2, $3, $4)`,
		ids.New(ids.Event), subject, data, Micros(at))
	if err != nil {
		return fmt.Errorf("emit %s: %w", subject, err)
	}
	tx.emitted = true
	return nil
}

// Emitted tells, by a value, that events were committed since the last one was taken. Other
// processes on the same database do not tell: look from time to time as well.
func (db *DB) Emitted() <-chan struct{} { return db.emitted }

func (db *DB) signal() {
	select {
	case db.emitted <- struct{}{}:
	default:
	}
}

// PendingEvents gives the oldest events that were not yet dropped.
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

// DropEvents forgets events that the broker has acknowledged.
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
