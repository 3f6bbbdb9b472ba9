package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/command"
)

// Decide implements command.Store. It locks the device's row first, so changes of its commands are serial.
func (s *Store) Decide(ctx context.Context, about command.Target, decide func(command.State) (command.Changes, error)) (command.Command, error) {
	return sqldb.WriteOnce(ctx, s.db, about.Key, about.Now, func(tx *sqldb.Tx) (command.Command, error) {
		at, err := s.situation(ctx, tx, about)
		if err != nil {
			return command.Command{}, err
		}
		known := at.Device
		work, err := decide(at)
		if err != nil {
			return command.Command{}, err
		}
		return work.Answer, s.writeChanges(ctx, tx, work, known, about.Now)
	})
}

func (s *Store) situation(ctx context.Context, tx *sqldb.Tx, about command.Target) (command.State, error) {
	condition, id := "id = $1 AND NOT deleted", about.DeviceID
	if about.DeviceID == "" { // a command that ended with its device must still return that result
		condition, id = "id = (SELECT device_id FROM commands WHERE id = $1)", about.CommandID
	}
	d, err := lockAnyDevice(ctx, tx, condition, id)
	switch {
	case errors.Is(err, sql.ErrNoRows) && about.DeviceID == "":
		return command.State{}, errs.Missing("command", about.CommandID)
	case errors.Is(err, sql.ErrNoRows):
		return command.State{}, device.Missing(about.DeviceID)
	case err != nil:
		return command.State{}, err
	}
	at := command.State{Device: d}
	if at.Command, err = s.namedBy(ctx, tx, about, d.ID); err != nil {
		return command.State{}, err
	}
	err = tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM commands WHERE device_id = $1 AND due_at IS NOT NULL`, d.ID).Scan(&at.Open)
	if err != nil {
		return command.State{}, fmt.Errorf("count open commands: %w", err)
	}
	return at, nil
}

func (s *Store) namedBy(ctx context.Context, tx *sqldb.Tx, about command.Target, deviceID string) (*command.Command, error) {
	condition, value := "id = $1", about.CommandID
	if value == "" {
		condition, value = "reference = $1 AND reference <> '' AND name = 'unlock'", about.Reference
	}
	if value == "" {
		return nil, nil
	}
	c, err := s.scanCommand(tx.QueryRowContext(ctx, `SELECT `+commandColumns+` FROM commands WHERE `+condition+` AND device_id = $2`, value, deviceID))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &c, nil
}

// writeChanges writes the decision about a device.
func (s *Store) writeChanges(ctx context.Context, tx *sqldb.Tx, work command.Changes, known device.Device, now time.Time) error {
	if work.Device != nil {
		if err := updateDevice(ctx, tx, work.Device.Device, known.Version); err != nil {
			return err
		}
		if err := s.follow(ctx, tx, &known, *work.Device); err != nil {
			return err
		}
	}
	for _, c := range work.Commands {
		if err := s.writeCommand(ctx, tx, c, now); err != nil {
			return err
		}
	}
	if err := s.writeLines(ctx, tx, work, now); err != nil {
		return err
	}
	for _, e := range work.Notes {
		if err := insertEvent(ctx, tx, e); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) writeCommand(ctx context.Context, tx *sqldb.Tx, c command.Command, now time.Time) error {
	write := updateCommand
	if c.Version == 1 {
		write = insertCommand
	}
	row, err := s.sealed(c)
	if err != nil {
		return err
	}
	if err := write(ctx, tx, row); err != nil {
		return err
	}
	payload, err := s.encode.Command(c)
	if err != nil {
		return fmt.Errorf("encode command %s: %w", c.ID, err)
	}
	return tx.Emit(ctx, now, "event.command."+strings.ToLower(string(c.Status))+"."+c.ID, payload)
}

func (s *Store) writeLines(ctx context.Context, tx *sqldb.Tx, work command.Changes, now time.Time) error {
	for _, line := range work.Lines {
		isNew, err := insertLine(ctx, tx, line)
		if err != nil {
			return err
		}
		if !isNew {
			continue
		}
		payload, err := s.encode.LogLine(line)
		if err != nil {
			return fmt.Errorf("encode a line of the log of %s: %w", line.CommandID, err)
		}
		if err := tx.Emit(ctx, now, "event.commandlog.added."+line.CommandID, payload); err != nil {
			return err
		}
	}
	if c := work.Logged; c != nil {
		_, err := tx.ExecContext(ctx, `UPDATE commands SET log_lines = $1, log_bytes = $2 WHERE id = $3`, c.LogLines, c.LogBytes, c.ID)
		if err != nil {
			return fmt.Errorf("count the log of %s: %w", c.ID, err)
		}
	}
	return nil
}

func newestCommands() sqldb.Newest {
	return sqldb.Newest{Name: "device-commands/newest", Column: "created_at", Kind: ids.Command}
}

// GetCommands implements command.Store.
func (s *Store) GetCommands(ctx context.Context, ids []string, labels map[string]string) ([]command.Command, error) {
	var w sqldb.Where
	w.In("id", ids)
	haveLabels(&w, "device_id", labels)
	w.And("device_id IN (SELECT id FROM devices WHERE NOT deleted)")
	found, err := sqldb.Select(ctx, s.db.Read(), s.scanCommand, `SELECT `+commandColumns+` FROM commands`+w.SQL(), w.Args()...)
	if err != nil {
		return nil, fmt.Errorf("read commands: %w", err)
	}
	return found, nil
}

// ListCommands implements command.Store.
func (s *Store) ListCommands(ctx context.Context, deviceIDs []string, request page.Request) (map[string]page.Page[command.Command], error) {
	return sqldb.Children[command.Command]{
		Table: "commands", Columns: commandColumns, Parent: "device_id", Order: newestCommands(), Scan: s.scanCommand,
		ParentOf: func(c command.Command) string { return c.DeviceID },
		CursorOf: func(c command.Command) page.Cursor { return newestCommands().Cursor(c.CreatedAt, c.ID) },
	}.PagesOf(ctx, s.db, deviceIDs, request)
}

// CommandLogs implements command.Store.
func (s *Store) CommandLogs(ctx context.Context, commandIDs []string, most int) ([]command.LogLine, error) {
	var w sqldb.Where
	w.In("command_id", commandIDs)
	return s.lines(ctx, w, "command_id", "ordinal", most)
}

// DeviceLogs implements command.Store.
func (s *Store) DeviceLogs(ctx context.Context, deviceIDs []string, from, to time.Time, most int) ([]command.LogLine, error) {
	var w sqldb.Where
	w.In("device_id", deviceIDs)
	w.And("at >= ? AND at < ?", sqldb.Micros(from), sqldb.Micros(to))
	return s.lines(ctx, w, "device_id", "at, command_id, ordinal", most)
}

func (s *Store) lines(ctx context.Context, w sqldb.Where, parent, order string, most int) ([]command.LogLine, error) {
	query := `SELECT ` + lineColumns + ` FROM (SELECT ` + lineColumns + `,
			ROW_NUMBER() OVER (PARTITION BY ` + parent + ` ORDER BY ` + order + `) AS place FROM command_log` + w.SQL() + `
		) AS ranked WHERE place <= ` + w.Arg(most) + ` ORDER BY ` + parent + `, place`
	lines, err := sqldb.Select(ctx, s.db.Read(), scanLine, query, w.Args()...)
	if err != nil {
		return nil, fmt.Errorf("read logs: %w", err)
	}
	return lines, nil
}

// Unacknowledged implements command.Store.
func (s *Store) Unacknowledged(ctx context.Context, deviceID string) ([]string, error) {
	found, err := sqldb.Select(ctx, s.db.Read(), sqldb.Text, `SELECT id FROM commands
		WHERE device_id = $1 AND due_at IS NOT NULL AND status <> $2 ORDER BY created_at, id`, deviceID, string(command.Acknowledged))
	if err != nil {
		return nil, fmt.Errorf("read waiting commands: %w", err)
	}
	return found, nil
}

// DueCommands implements command.Store.
func (s *Store) DueCommands(ctx context.Context, now time.Time, most int) ([]string, error) {
	due, err := sqldb.Select(ctx, s.db.Read(), sqldb.Text, `SELECT id FROM commands
		WHERE due_at <= $1 AND (deadline <= $1 OR NOT EXISTS (`+ownedElsewhere("commands.device_id", "$2")+`))
		ORDER BY due_at LIMIT $3`, sqldb.Micros(now), s.node, most)
	if err != nil {
		return nil, fmt.Errorf("read commands that are due: %w", err)
	}
	return due, nil
}

// NextDue implements maintenance.DueStore.
func (s *Store) NextDue(ctx context.Context) (*time.Time, error) {
	var next sql.NullInt64
	err := s.db.Read().QueryRowContext(ctx, `SELECT MIN(due) FROM (
		SELECT MIN(due_at) AS due FROM commands WHERE due_at IS NOT NULL AND NOT EXISTS (`+ownedElsewhere("commands.device_id", "$1")+`)
		UNION ALL SELECT MIN(lock_due_at) AS due FROM devices WHERE lock_due_at IS NOT NULL AND NOT deleted) AS dues`, s.node).Scan(&next)
	if err != nil {
		return nil, fmt.Errorf("read what is due next: %w", err)
	}
	return sqldb.NullTime(next), nil
}
