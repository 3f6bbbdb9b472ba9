// Package store persists jobs and their runs in SQL, on SQLite and PostgreSQL. A change locks the row of the job by
// an update without effect, so changes of one job are serial, and then reads the state.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/job"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations returns the schema, for sqldb.DB.Migrate.
func Migrations() sqldb.Schema {
	return sqldb.Schema{Files: migrations, Counted: []sqldb.Counted{
		{
			Table: "jobs", Owner: "row.account_id",
			Bytes: sqldb.TextBytes(900, "name", "name_folded", "description", "payload", "secret_payload", "cron", "result", "error"),
		},
		{
			Table: "job_runs", Owner: "(SELECT account_id FROM jobs WHERE id = row.job_id)",
			Bytes: sqldb.TextBytes(500, "result", "error"),
		},
	}}
}

// Store implements job.Store.
type Store struct {
	db          *sqldb.DB
	encodeJob   func(job.Job) ([]byte, error)
	encodeOrder func(job.Order) ([]byte, error)
}

// New returns a Store on a migrated database. The functions encode the payloads of events and orders.
func New(db *sqldb.DB, encodeJob func(job.Job) ([]byte, error), encodeOrder func(job.Order) ([]byte, error)) *Store {
	return &Store{db: db, encodeJob: encodeJob, encodeOrder: encodeOrder}
}

// Create stores a new job, once for each idempotency key.
func (s *Store) Create(ctx context.Context, key idempotency.Key, j job.Job) (job.Job, error) {
	return sqldb.WriteOnce(ctx, s.db, key, j.CreatedAt, func(tx *sqldb.Tx) (job.Job, error) {
		if err := s.insertJob(ctx, tx, j); err != nil {
			return job.Job{}, err
		}
		return j, s.emitJob(ctx, tx, j)
	})
}

// Change applies the rule to the job and one of its runs.
func (s *Store) Change(ctx context.Context, jobID, runID string, rule job.Rule) (job.Job, error) {
	var after job.Job
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		locked, err := sqldb.Affects(tx.ExecContext(ctx, `UPDATE jobs SET version = version WHERE id = $1`, jobID))
		if err != nil {
			return fmt.Errorf("lock: %w", err)
		}
		if !locked {
			return errs.Missing("job", jobID)
		}
		after, err = s.apply(ctx, tx, jobID, runID, rule)
		return err
	})
	if err != nil {
		return job.Job{}, err
	}
	return after, nil
}

// ChangeDue implements job.Store. It locks in the order of ids, so that concurrent schedulers cannot deadlock.
func (s *Store) ChangeDue(ctx context.Context, now time.Time, limit int, rule job.Rule) (int, error) {
	due, err := sqldb.Select(ctx, s.db.Read(), sqldb.Text, `SELECT id FROM (
			SELECT id FROM jobs WHERE next_run_at IS NOT NULL AND next_run_at <= $1 ORDER BY next_run_at LIMIT $2
		) AS due ORDER BY id`, sqldb.Micros(now), limit)
	if err != nil {
		return 0, fmt.Errorf("find due jobs: %w", err)
	}
	if len(due) == 0 {
		return 0, nil
	}
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
		for _, id := range due {
			if err := s.applyDue(ctx, tx, id, now, rule); err != nil {
				return fmt.Errorf("job %s: %w", id, err)
			}
		}
		return nil
	})
	return len(due), err
}

func (s *Store) applyDue(ctx context.Context, tx *sqldb.Tx, id string, now time.Time, rule job.Rule) error {
	stillDue, err := sqldb.Affects(tx.ExecContext(ctx, `UPDATE jobs SET version = version
		WHERE id = $1 AND next_run_at IS NOT NULL AND next_run_at <= $2`, id, sqldb.Micros(now)))
	if err != nil || !stillDue {
		return err
	}
	_, err = s.apply(ctx, tx, id, "", rule)
	return err
}

// apply calls the rule with a job whose row is locked, and writes the decision.
func (s *Store) apply(ctx context.Context, tx *sqldb.Tx, jobID, runID string, rule job.Rule) (job.Job, error) {
	before, err := s.scanJob(tx.QueryRowContext(ctx, `SELECT `+jobColumns+` FROM jobs WHERE id = $1`, jobID))
	if err != nil {
		return job.Job{}, fmt.Errorf("read: %w", err)
	}
	if runID == "" {
		runID = before.RunID
	}
	run, err := readRun(ctx, tx, jobID, runID)
	if err != nil {
		return job.Job{}, err
	}
	change, err := rule(before, run)
	if err != nil {
		return job.Job{}, err
	}
	return s.write(ctx, tx, before, change)
}

func readRun(ctx context.Context, tx *sqldb.Tx, jobID, runID string) (*job.Run, error) {
	if runID == "" {
		return nil, nil
	}
	run, err := scanRun(tx.QueryRowContext(ctx, `SELECT `+runColumns+` FROM job_runs WHERE id = $1 AND job_id = $2`, runID, jobID))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read run %s: %w", runID, err)
	}
	return &run, nil
}

func (s *Store) write(ctx context.Context, tx *sqldb.Tx, before job.Job, change job.Change) (job.Job, error) {
	if change.Delete {
		return *change.Job, s.delete(ctx, tx, *change.Job)
	}
	for _, run := range change.Runs {
		if err := writeRun(ctx, tx, run); err != nil {
			return job.Job{}, err
		}
	}
	after := before
	if change.Job != nil {
		after = *change.Job
		if err := s.update(ctx, tx, before, after); err != nil {
			return job.Job{}, err
		}
	}
	if change.Limited {
		if err := checkStorage(ctx, tx, after.ID); err != nil {
			return job.Job{}, err
		}
	}
	if change.Order != nil {
		if err := s.emitOrder(ctx, tx, *change.Order, change.At); err != nil {
			return job.Job{}, err
		}
	}
	return after, nil
}

func (s *Store) update(ctx context.Context, tx *sqldb.Tx, before, after job.Job) error {
	written, err := s.updateJob(ctx, tx, before, after)
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	if !written {
		return fmt.Errorf("job %s changed while its row was locked", after.ID)
	}
	return s.emitJob(ctx, tx, after)
}

func (s *Store) delete(ctx context.Context, tx *sqldb.Tx, j job.Job) error {
	for _, statement := range []string{`DELETE FROM job_runs WHERE job_id = $1`, `DELETE FROM jobs WHERE id = $1`} {
		if _, err := tx.ExecContext(ctx, statement, j.ID); err != nil {
			return fmt.Errorf("delete: %w", err)
		}
	}
	j.Deleted = true
	return s.emitJob(ctx, tx, j)
}

func checkStorage(ctx context.Context, tx *sqldb.Tx, jobID string) error {
	var account string
	if err := tx.QueryRowContext(ctx, `SELECT account_id FROM jobs WHERE id = $1`, jobID).Scan(&account); err != nil {
		return fmt.Errorf("read the account of the job: %w", err)
	}
	return tx.CheckStorage(ctx, account)
}

// runsWithoutStorage is how many runs of a job are stored while its account has no storage left.
const runsWithoutStorage = 10

// writeRun stores the run. For a new run it deletes the oldest ended runs of the job beyond MaxRuns, or beyond
// runsWithoutStorage.
func writeRun(ctx context.Context, tx *sqldb.Tx, run job.Run) error {
	if _, err := tx.Insert(ctx, "job_runs", runColumns, [][]any{runValues(run)}, onRunUpdate); err != nil {
		return fmt.Errorf("write run %s: %w", run.ID, err)
	}
	if run.Status != job.Queued {
		return nil
	}
	kept := job.MaxRuns
	switch err := checkStorage(ctx, tx, run.JobID); {
	case err != nil && errs.From(err).Reason == sqldb.ReasonStorageQuota:
		kept = runsWithoutStorage
	case err != nil:
		return err
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM job_runs WHERE job_id = $1 AND deadline IS NULL AND (queued_at, id) < (
			SELECT queued_at, id FROM job_runs WHERE job_id = $1 ORDER BY queued_at DESC, id DESC LIMIT 1 OFFSET $2)`,
		run.JobID, kept-1)
	if err != nil {
		return fmt.Errorf("forget old runs: %w", err)
	}
	return nil
}

func (s *Store) emitJob(ctx context.Context, tx *sqldb.Tx, j job.Job) error {
	data, err := s.encodeJob(j)
	if err != nil {
		return fmt.Errorf("encode job %s: %w", j.ID, err)
	}
	subject := "event.job.changed." + j.ID
	if j.Deleted {
		subject = "event.job.deleted." + j.ID
	}
	return tx.Emit(ctx, j.UpdatedAt, subject, data)
}

func (s *Store) emitOrder(ctx context.Context, tx *sqldb.Tx, order job.Order, at time.Time) error {
	data, err := s.encodeOrder(order)
	if err != nil {
		return fmt.Errorf("encode the order of run %s: %w", order.RunID, err)
	}
	return tx.Emit(ctx, at, "job.run."+order.JobID, data)
}

// Overdue returns runs whose deadline has passed.
func (s *Store) Overdue(ctx context.Context, now time.Time, limit int) ([]job.Order, error) {
	overdue, err := sqldb.Select(ctx, s.db.Read(), scanOrder, `SELECT job_id, id FROM job_runs
		WHERE deadline IS NOT NULL AND deadline <= $1 ORDER BY deadline LIMIT $2`, sqldb.Micros(now), limit)
	if err != nil {
		return nil, fmt.Errorf("find overdue runs: %w", err)
	}
	return overdue, nil
}

func scanOrder(row sqldb.Row) (job.Order, error) {
	var o job.Order
	err := row.Scan(&o.JobID, &o.RunID)
	return o, err
}

// NextWake returns the earliest time at which work is due.
func (s *Store) NextWake(ctx context.Context) (*time.Time, error) {
	var next sql.NullInt64
	err := s.db.Read().QueryRowContext(ctx, `SELECT MIN(at) FROM (
			SELECT MIN(next_run_at) AS at FROM jobs WHERE next_run_at IS NOT NULL
			UNION ALL SELECT MIN(deadline) FROM job_runs WHERE deadline IS NOT NULL) AS times`).Scan(&next)
	if err != nil {
		return nil, fmt.Errorf("find the next time: %w", err)
	}
	return sqldb.NullTime(next), nil
}

// Renew extends the lease of a running run.
func (s *Store) Renew(ctx context.Context, run job.Order, deadline time.Time) (present bool, err error) {
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
		present, err = sqldb.Affects(tx.ExecContext(ctx, `UPDATE job_runs SET deadline = $1 WHERE id = $2 AND status = 'RUNNING'
			AND EXISTS (SELECT 1 FROM jobs WHERE jobs.id = $3 AND jobs.run_id = $2 AND jobs.status = 'RUNNING')`,
			sqldb.Micros(deadline), run.RunID, run.JobID))
		return err
	})
	if err != nil {
		return false, fmt.Errorf("renew run %s: %w", run.RunID, err)
	}
	return present, nil
}
