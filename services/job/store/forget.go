package store

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/job"
)

// maxForgotten bounds the jobs of one transaction, since each may have a thousand runs.
const maxForgotten = 20

// ForgetFinished drops old jobs: see job.Store. It locks them in the order of their ids, as ChangeDue does.
func (s *Store) ForgetFinished(ctx context.Context, before time.Time, most int) (gone int64, err error) {
	var w sqldb.Where
	sqldb.Narrow(&w, "status", []job.Status{job.Succeeded, job.Failed, job.Cancelled})
	w.And("updated_at < ?", sqldb.Micros(before))
	old, err := sqldb.Select(ctx, s.db.Read(), sqldb.Text, `SELECT id FROM (
			SELECT id FROM jobs`+w.SQL()+` ORDER BY updated_at LIMIT `+w.Arg(min(most, maxForgotten))+`) AS old ORDER BY id`, w.Args()...)
	if err != nil {
		return 0, fmt.Errorf("find old jobs: %w", err)
	}
	if len(old) == 0 {
		return 0, nil
	}
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
		gone = 0
		for _, id := range old {
			dropped, err := s.forget(ctx, tx, id, before)
			if err != nil {
				return fmt.Errorf("forget job %s: %w", id, err)
			}
			if dropped {
				gone++
			}
		}
		return nil
	})
	return gone, err
}

// forget drops the job, unless somebody has changed it meanwhile.
func (s *Store) forget(ctx context.Context, tx *sqldb.Tx, id string, before time.Time) (dropped bool, err error) {
	still, err := sqldb.Affects(tx.ExecContext(ctx, `UPDATE jobs SET version = version WHERE id = $1 AND updated_at < $2`, id, sqldb.Micros(before)))
	if err != nil || !still {
		return false, err
	}
	j, err := scanJob(tx.QueryRowContext(ctx, `SELECT `+jobColumns+` FROM jobs WHERE id = $1`, id))
	if err != nil {
		return false, fmt.Errorf("read: %w", err)
	}
	return true, s.delete(ctx, tx, j)
}
