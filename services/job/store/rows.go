package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/job"
)

const jobColumns = `id, ` + changing

// changing lists the columns of a job that may change.
const changing = `name, name_folded, description, kind, payload, secret_payload, status, version, run_at, cron, time_zone, next_run_at,
	attempt, max_attempts, timeout_seconds, device_id, result, error, created_by, created_at, updated_at, run_id, firing_id`

func changingValues(j job.Job) []any {
	return []any{
		j.Name, sqldb.Fold(j.Name), j.Description, j.Kind, j.Payload, j.Secret, string(j.Status), j.Version,
		sqldb.NullMicros(j.RunAt), j.Cron, j.TimeZone, sqldb.NullMicros(j.NextRunAt),
		j.Attempt, j.MaxAttempts, int64(j.Timeout / time.Second), j.DeviceID, j.Result, j.Error, j.CreatedBy,
		sqldb.Micros(j.CreatedAt), sqldb.Micros(j.UpdatedAt), j.RunID, j.FiringID,
	}
}

func secretPlace(id string) string { return sqldb.Place("jobs", "secret_payload", id) }

// Sealed names the columns that this store seals.
func Sealed() []sqldb.Sealed {
	return []sqldb.Sealed{{Table: "jobs", ID: "id", Columns: []string{"secret_payload"}}}
}

// sealed returns the job as its row stores it.
func (s *Store) sealed(j job.Job) (job.Job, error) {
	var err error
	j.Secret, err = s.db.Seal(secretPlace(j.ID), j.Secret)
	return j, err
}

func (s *Store) insertJob(ctx context.Context, tx *sqldb.Tx, j job.Job) error {
	j, err := s.sealed(j)
	if err != nil {
		return err
	}
	account := caller.FromContext(ctx).AccountID
	values := append([]any{account, j.ID}, changingValues(j)...)
	if _, err := tx.Insert(ctx, "jobs", "account_id, "+jobColumns, [][]any{values}, ""); err != nil {
		return err
	}
	return tx.CheckStorage(ctx, account)
}

func (s *Store) updateJob(ctx context.Context, tx *sqldb.Tx, before, after job.Job) (bool, error) {
	after, err := s.sealed(after)
	if err != nil {
		return false, err
	}
	values := changingValues(after)
	row := sqldb.Tuples(1, len(values))
	n := len(values)
	values = append(values, after.ID, before.Version, string(before.Status))
	return sqldb.Affects(tx.ExecContext(ctx, fmt.Sprintf(`UPDATE jobs SET (%s) = %s WHERE id = $%d AND version = $%d AND status = $%d`,
		changing, row, n+1, n+2, n+3), values...))
}

func (s *Store) scanJob(row sqldb.Row) (job.Job, error) {
	var j job.Job
	var folded string
	var runAt, nextRunAt sql.NullInt64
	var timeout, createdAt, updatedAt int64
	err := row.Scan(&j.ID, &j.Name, &folded, &j.Description, &j.Kind, &j.Payload, &j.Secret, &j.Status, &j.Version,
		&runAt, &j.Cron, &j.TimeZone, &nextRunAt,
		&j.Attempt, &j.MaxAttempts, &timeout, &j.DeviceID, &j.Result, &j.Error, &j.CreatedBy,
		&createdAt, &updatedAt, &j.RunID, &j.FiringID)
	if err != nil {
		return job.Job{}, fmt.Errorf("scan job: %w", err)
	}
	if j.Secret, err = s.db.Unseal(secretPlace(j.ID), j.Secret); err != nil {
		return job.Job{}, err
	}
	j.RunAt, j.NextRunAt = sqldb.NullTime(runAt), sqldb.NullTime(nextRunAt)
	j.Timeout = time.Duration(timeout) * time.Second
	j.CreatedAt, j.UpdatedAt = sqldb.Time(createdAt), sqldb.Time(updatedAt)
	return j, nil
}

const runColumns = `id, job_id, firing_id, attempt, status, due_at, queued_at, started_at, finished_at, result, error, deadline`

// onRunUpdate updates a run that exists already.
const onRunUpdate = `ON CONFLICT (id) DO UPDATE SET status = excluded.status, started_at = excluded.started_at,
	finished_at = excluded.finished_at, result = excluded.result, error = excluded.error, deadline = excluded.deadline`

func runValues(r job.Run) []any {
	return []any{
		r.ID, r.JobID, r.FiringID, r.Attempt, string(r.Status), sqldb.Micros(r.DueAt), sqldb.Micros(r.QueuedAt),
		sqldb.NullMicros(r.StartedAt), sqldb.NullMicros(r.FinishedAt), r.Result, r.Error, sqldb.NullMicros(r.Deadline),
	}
}

func scanRun(row sqldb.Row) (job.Run, error) {
	var r job.Run
	var dueAt, queuedAt int64
	var startedAt, finishedAt, deadline sql.NullInt64
	err := row.Scan(&r.ID, &r.JobID, &r.FiringID, &r.Attempt, &r.Status, &dueAt, &queuedAt,
		&startedAt, &finishedAt, &r.Result, &r.Error, &deadline)
	if err != nil {
		return job.Run{}, fmt.Errorf("scan run: %w", err)
	}
	r.DueAt, r.QueuedAt = sqldb.Time(dueAt), sqldb.Time(queuedAt)
	r.StartedAt, r.FinishedAt, r.Deadline = sqldb.NullTime(startedAt), sqldb.NullTime(finishedAt), sqldb.NullTime(deadline)
	return r, nil
}
