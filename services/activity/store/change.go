package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/activity"
)

// Change implements activity.Store.
func (s *Store) Change(ctx context.Context, id string, decide activity.Decide) (activity.Activity, error) {
	var after activity.Activity
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		before, err := lock(ctx, tx, id)
		if err != nil {
			return err
		}
		change, err := decide(before)
		if after = before; err != nil || change == nil {
			return err
		}
		after = change.Activity
		what, err := write(ctx, tx, before, after, change.By)
		if err != nil {
			return err
		}
		if err := s.emit(ctx, tx, what, after); err != nil || what == withdrawn {
			return err
		}
		return checkStorage(ctx, tx, after)
	})
	if err != nil {
		return activity.Activity{}, fmt.Errorf("change activity: %w", err)
	}
	return after, nil
}

// lock locks the row of an activity by an update without effect, and reads it.
func lock(ctx context.Context, tx *sqldb.Tx, id string) (activity.Activity, error) {
	locked, err := sqldb.Affects(tx.ExecContext(ctx, `UPDATE activities SET version = version WHERE id = $1`, id))
	if err != nil {
		return activity.Activity{}, fmt.Errorf("lock: %w", err)
	}
	if !locked {
		return activity.Activity{}, errs.Missing("activity", id)
	}
	return scan(tx.QueryRowContext(ctx, `SELECT `+columns+` FROM activities WHERE id = $1`, id))
}

// The changes in the subjects of events: event.activity.<change>.<id>.
const (
	added     = "added"
	changed   = "changed"
	withdrawn = "withdrawn"
)

// write replaces or withdraws a locked activity, and adds the version before to the history. It returns the change
// for the event.
func write(ctx context.Context, tx *sqldb.Tx, before, after activity.Activity, by string) (change string, err error) {
	gone := after.WithdrawnAt != nil
	if err := insertRevision(ctx, tx, before, gone, after.UpdatedAt, by); err != nil {
		return "", err
	}
	if !gone {
		return changed, update(ctx, tx, after)
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM activities WHERE id = $1`, before.ID); err != nil {
		return "", fmt.Errorf("delete: %w", err)
	}
	return withdrawn, nil
}

func insertRevision(ctx context.Context, tx *sqldb.Tx, before activity.Activity, withdrawn bool, at time.Time, by string) error {
	text, err := json.Marshal(before)
	if err != nil {
		return fmt.Errorf("write the history of %s: %w", before.ID, err)
	}
	_, err = tx.Insert(ctx, "activity_history", `activity_id, version, source, external_id, account_id, withdrawn, replaced_at, replaced_by, activity, recorded_by`,
		[][]any{{before.ID, before.Version, before.Source, before.ExternalID, before.AccountID, withdrawn, sqldb.Micros(at), by, string(text), caller.FromContext(ctx).AccountID}}, "")
	return err
}

// History implements activity.Store.
func (s *Store) History(ctx context.Context, id string) ([]activity.Revision, error) {
	all, err := sqldb.Select(ctx, s.db.Read(), scanRevision,
		`SELECT activity, withdrawn, replaced_at, replaced_by FROM activity_history WHERE activity_id = $1 ORDER BY version DESC LIMIT 1000`, id)
	if err != nil {
		return nil, fmt.Errorf("read the history: %w", err)
	}
	return all, nil
}

func scanRevision(row sqldb.Row) (activity.Revision, error) {
	var r activity.Revision
	var text string
	var at int64
	if err := row.Scan(&text, &r.Withdrawn, &at, &r.ReplacedBy); err != nil {
		return r, err
	}
	r.ReplacedAt = sqldb.Time(at)
	return r, json.Unmarshal([]byte(text), &r.Activity)
}

// DeleteHistory implements activity.Store.
func (s *Store) DeleteHistory(ctx context.Context, before time.Time, limit int) (deleted int64, err error) {
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
		result, err := tx.ExecContext(ctx, `DELETE FROM activity_history WHERE (activity_id, version) IN (
			SELECT activity_id, version FROM activity_history WHERE replaced_at < $1 ORDER BY replaced_at LIMIT $2)`,
			sqldb.Micros(before), limit)
		if err != nil {
			return fmt.Errorf("delete history of activities: %w", err)
		}
		deleted, err = result.RowsAffected()
		return err
	})
	return deleted, err
}
