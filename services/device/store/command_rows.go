package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/device/command"
)

const commandColumns = `id, device_id, name, arguments, caller, reference, timeout, queue_until, created_at,
	version, status, deadline, due_at, sends, sent_at, last_sent_at, acknowledged_at, finished_at, result, reason, error, log_lines, log_bytes`

// commandChanging lists the columns that changes of a command update.
const commandChanging = `version, status, deadline, due_at, sends, sent_at, last_sent_at, acknowledged_at, finished_at,
	result, reason, error, log_lines, log_bytes`

func (s *Store) scanCommand(row sqldb.Row) (command.Command, error) {
	var c command.Command
	var timeout, created, deadline int64
	var queueUntil, due, sent, lastSent, acknowledged, finished sql.NullInt64
	err := row.Scan(&c.ID, &c.DeviceID, &c.Name, &c.Arguments, &c.Caller, &c.Reference, &timeout, &queueUntil, &created,
		&c.Version, &c.Status, &deadline, &due, &c.Sends, &sent, &lastSent, &acknowledged, &finished,
		&c.Result, &c.Reason, &c.Error, &c.LogLines, &c.LogBytes)
	if err != nil {
		return command.Command{}, fmt.Errorf("scan command: %w", err)
	}
	if c.Arguments, err = s.db.Unseal(sqldb.Place("commands", "arguments", c.ID), c.Arguments); err != nil {
		return command.Command{}, err
	}
	if c.Result, err = s.db.Unseal(sqldb.Place("commands", "result", c.ID), c.Result); err != nil {
		return command.Command{}, err
	}
	c.Timeout, c.QueueUntil, c.CreatedAt = time.Duration(timeout)*time.Microsecond, sqldb.NullTime(queueUntil), sqldb.Time(created)
	c.Deadline, c.DueAt, c.SentAt = sqldb.Time(deadline), sqldb.NullTime(due), sqldb.NullTime(sent)
	c.LastSentAt, c.AcknowledgedAt, c.FinishedAt = sqldb.NullTime(lastSent), sqldb.NullTime(acknowledged), sqldb.NullTime(finished)
	return c, nil
}

func commandChangingValues(c command.Command) []any {
	return []any{
		c.Version, string(c.Status), sqldb.Micros(c.Deadline), sqldb.NullMicros(c.DueAt), c.Sends, sqldb.NullMicros(c.SentAt),
		sqldb.NullMicros(c.LastSentAt), sqldb.NullMicros(c.AcknowledgedAt), sqldb.NullMicros(c.FinishedAt),
		c.Result, c.Reason, c.Error, c.LogLines, c.LogBytes,
	}
}

// sealed returns the command as its row stores it: arguments and result may contain credentials.
func (s *Store) sealed(c command.Command) (command.Command, error) {
	var err error
	if c.Arguments, err = s.db.Seal(sqldb.Place("commands", "arguments", c.ID), c.Arguments); err != nil {
		return command.Command{}, err
	}
	c.Result, err = s.db.Seal(sqldb.Place("commands", "result", c.ID), c.Result)
	return c, err
}

// Sealed names the columns that this store seals.
func Sealed() []sqldb.Sealed {
	return []sqldb.Sealed{
		{Table: "commands", ID: "id", Columns: []string{"arguments", "result"}},
		{Table: "device_streams", ID: "device_id", Columns: []string{"body"}},
	}
}

func insertCommand(ctx context.Context, tx *sqldb.Tx, c command.Command) error {
	row := append([]any{
		c.ID, c.DeviceID, c.Name, c.Arguments, c.Caller, c.Reference, c.Timeout.Microseconds(), sqldb.NullMicros(c.QueueUntil), sqldb.Micros(c.CreatedAt),
	}, commandChangingValues(c)...)
	_, err := tx.Insert(ctx, "commands", commandColumns, [][]any{row}, "")
	return err
}

// updateCommand updates a command from the version before. Its device is locked.
func updateCommand(ctx context.Context, tx *sqldb.Tx, c command.Command) error {
	values := commandChangingValues(c)
	row := sqldb.Tuples(1, len(values))
	values = append(values, c.ID, c.Version-1)
	changed, err := sqldb.Affects(tx.ExecContext(ctx, fmt.Sprintf(`UPDATE commands SET (%s) = %s WHERE id = $%d AND version = $%d`,
		commandChanging, row, len(values)-1, len(values)), values...))
	if err != nil {
		return fmt.Errorf("update command: %w", err)
	}
	if !changed {
		return fmt.Errorf("update command %s: it is not at version %d, although its device is locked", c.ID, c.Version-1)
	}
	return nil
}

const lineColumns = `command_id, device_id, ordinal, at, stream, text`

func scanLine(row sqldb.Row) (command.LogLine, error) {
	var l command.LogLine
	var at int64
	err := row.Scan(&l.CommandID, &l.DeviceID, &l.Ordinal, &at, &l.Stream, &l.Text)
	l.At = sqldb.Time(at)
	return l, err
}

func insertLine(ctx context.Context, tx *sqldb.Tx, l command.LogLine) (isNew bool, err error) {
	said := sha256.Sum256(fmt.Appendf(nil, "%d\x00%s\x00%s", sqldb.Micros(l.At), l.Stream, l.Text))
	row := []any{l.CommandID, l.DeviceID, l.Ordinal, sqldb.Micros(l.At), l.Stream, l.Text, hex.EncodeToString(said[:])}
	inserted, err := tx.Insert(ctx, "command_log", lineColumns+", digest", [][]any{row}, `ON CONFLICT (command_id, digest) DO NOTHING`)
	return inserted == 1, err
}
