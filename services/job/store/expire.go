package store

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/job"
)

// maxDeleted limits the jobs of one transaction, because each may have a thousand runs.
const maxDeleted = 20

// DeleteFinished implements job.Store. It locks in the order of ids, like ChangeDue, so that no deadlock occurs.
func (s *Store) DeleteFinished(ctx context.Context, before time.Time, limit int) (deleted int64, err error) {
	var w sqldb.Where
	sqldb.Narrow(&w, "status", []job.Status{job.Succeeded, job.Failed, job.Cancelled})
	w.And("updated_at < ?", sqldb.Micros(before))
	old, err := sqldb.Select(ctx, s.db.Read(), sqldb.Text, `SELECT id FROM (
			SELECT id FROM jobs`+w.SQL()+` ORDER BY updated_at LIMIT `+w.Arg(min(limit, maxDeleted))+`) AS old ORDER BY id`, w.Args()...)
	if err != nil {
		return 0, fmt.Errorf("find old jobs: %w", err)
	}
	if len(old) == 0 {
		return 0, nil
	}
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
		deleted = 0
		for _, id := range old {
			done, err := s.deleteExpired(ctx, tx, id, before)
			if err != nil {
				return fmt.Errorf("delete job %s: %w", id, err)
			}
			if done {
				deleted++
			}
		}
		return nil
	})
	return deleted, err
}

func (s *Store) deleteExpired(ctx context.Context, tx *sqldb.Tx, id string, before time.Time) (done bool, err error) {
	still, err := sqldb.Affects(tx.ExecContext(ctx, `UPDATE jobs SET version = version WHERE id = $1 AND updated_at < $2`, id, sqldb.Micros(before)))
	if err != nil || !still {
		return false, err
	}
	j, err := s.scanJob(tx.QueryRowContext(ctx, `SELECT `+jobColumns+` FROM jobs WHERE id = $1`, id))
	if err != nil {
		return false, fmt.Errorf("read: %w", err)
	}
	return true, s.delete(ctx, tx, j)
}
