package store

import (
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/job"
)

const jobColumns = `id, name, name_folded, description, kind, payload, status, version, run_at, cron, time_zone, next_run_at,
	attempt, max_attempts, timeout_seconds, device_id, result, error, created_by, created_at, updated_at, run_id, firing_id`

const insertJob = `INSERT INTO jobs (` + jobColumns + `)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)`

// updateJob changes a job only from the version ($24) and status ($25) that the change was decided on.
const updateJob = `UPDATE jobs SET name = $2, name_folded = $3, description = $4, kind = $5, payload = $6, status = $7,
	version = $8, run_at = $9, cron = $10, time_zone = $11, next_run_at = $12, attempt = $13, max_attempts = $14,
	timeout_seconds = $15, device_id = $16, result = $17, error = $18, created_by = $19, created_at = $20,
	updated_at = $21, run_id = $22, firing_id = $23
	WHERE id = $1 AND version = $24 AND status = $25`

func jobValues(j job.Job) []any {
	return []any{
		j.ID, j.Name, fold(j.Name), j.Description, j.Kind, j.Payload, string(j.Status), j.Version,
		sqldb.NullMicros(j.RunAt), j.Cron, j.TimeZone, sqldb.NullMicros(j.NextRunAt),
		j.Attempt, j.MaxAttempts, int64(j.Timeout / time.Second), j.DeviceID, j.Result, j.Error, j.CreatedBy,
		sqldb.Micros(j.CreatedAt), sqldb.Micros(j.UpdatedAt), j.RunID, j.FiringID,
	}
}

func scanJob(row sqldb.Row) (job.Job, error) {
	var j job.Job
	var folded string
	var runAt, nextRunAt sql.NullInt64
	var timeout, createdAt, updatedAt int64
	err := row.Scan(&j.ID, &j.Name, &folded, &j.Description, &j.Kind, &j.Payload, &j.Status, &j.Version,
		&runAt, &j.Cron, &j.TimeZone, &nextRunAt,
		&j.Attempt, &j.MaxAttempts, &timeout, &j.DeviceID, &j.Result, &j.Error, &j.CreatedBy,
		&createdAt, &updatedAt, &j.RunID, &j.FiringID)
	if err != nil {
		return job.Job{}, fmt.Errorf("scan job: %w", err)
	}
	j.RunAt, j.NextRunAt = sqldb.NullTime(runAt), sqldb.NullTime(nextRunAt)
	j.Timeout = time.Duration(timeout) * time.Second
	j.CreatedAt, j.UpdatedAt = sqldb.Time(createdAt), sqldb.Time(updatedAt)
	return j, nil
}

const runColumns = `id, job_id, firing_id, attempt, status, due_at, queued_at, started_at, finished_at, result, error, deadline`

const upsertRun = `INSERT INTO job_runs (` + runColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
	ON CONFLICT (id) DO UPDATE SET status = excluded.status, started_at = excluded.started_at,
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

// fold is a name as it is searched, whatever the case: the engines differ in what LOWER knows.
func fold(name string) string { return strings.ToLower(name) }
