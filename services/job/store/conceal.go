package store

import (
	"context"
	"fmt"

	"github.com/sluicehq/sluice/internal/sqldb"
)

// Concealer masks the payloads of a kind, and their secrets in texts.
type Concealer interface {
	Mask(payload string) string
	Redact(payload, text string) string
}

const concealBatch = 100 // jobs of a transaction, each with its runs

// Conceal seals the payloads of a kind that an earlier version stored in plain text, and masks their secrets in results
// and errors. It emits no event. Called at the start.
func (s *Store) Conceal(ctx context.Context, kind string, with Concealer) error {
	for last, some := "", true; some; {
		old, err := sqldb.Select(ctx, s.db.Read(), s.scanJob, `SELECT `+jobColumns+` FROM jobs
			WHERE kind = $1 AND secret_payload = '' AND id > $2 ORDER BY id LIMIT $3`, kind, last, concealBatch)
		if err != nil {
			return fmt.Errorf("find jobs to seal: %w", err)
		}
		if some = len(old) > 0; !some {
			return s.db.Checkpoint(ctx)
		}
		last = old[len(old)-1].ID
		err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
			for _, j := range old {
				sealed, err := s.db.Seal(secretPlace(j.ID), j.Payload)
				if err != nil {
					return err
				}
				redact := func(text string) string { return with.Redact(j.Payload, text) }
				_, err = tx.ExecContext(ctx, `UPDATE jobs SET payload = $1, secret_payload = $2, result = $3, error = $4
					WHERE id = $5 AND payload = $6 AND secret_payload = ''`, with.Mask(j.Payload), sealed, redact(j.Result), redact(j.Error), j.ID, j.Payload)
				if err != nil {
					return fmt.Errorf("seal job %s: %w", j.ID, err)
				}
				if err := redactRuns(ctx, tx, j.ID, redact); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func redactRuns(ctx context.Context, tx *sqldb.Tx, jobID string, redact func(string) string) error {
	runs, err := sqldb.Select(ctx, tx, scanRun, `SELECT `+runColumns+` FROM job_runs WHERE job_id = $1`, jobID)
	if err != nil {
		return fmt.Errorf("read the runs of job %s: %w", jobID, err)
	}
	for _, run := range runs {
		result, failure := redact(run.Result), redact(run.Error)
		if result == run.Result && failure == run.Error {
			continue
		}
		if _, err := tx.ExecContext(ctx, `UPDATE job_runs SET result = $1, error = $2 WHERE id = $3`, result, failure, run.ID); err != nil {
			return fmt.Errorf("mask the secrets of run %s: %w", run.ID, err)
		}
	}
	return nil
}
