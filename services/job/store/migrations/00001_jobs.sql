-- +goose Up
CREATE TABLE jobs (
    id              TEXT PRIMARY KEY,
    name            TEXT NOT NULL,
    name_folded     TEXT NOT NULL,
    description     TEXT NOT NULL,
    kind            TEXT NOT NULL,
    payload         TEXT NOT NULL,
    status          TEXT NOT NULL,
    version         BIGINT NOT NULL,
    run_at          BIGINT,
    cron            TEXT NOT NULL,
    time_zone       TEXT NOT NULL,
    next_run_at     BIGINT,
    attempt         BIGINT NOT NULL,
    max_attempts    BIGINT NOT NULL,
    timeout_seconds BIGINT NOT NULL,
    device_id       TEXT NOT NULL,
    result          TEXT NOT NULL,
    error           TEXT NOT NULL,
    created_by      TEXT NOT NULL,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    run_id          TEXT NOT NULL,
    firing_id       TEXT NOT NULL
);
CREATE INDEX jobs_created_at ON jobs (created_at, id);
CREATE INDEX jobs_created_by ON jobs (created_by, created_at, id);
CREATE INDEX jobs_device_id ON jobs (device_id, created_at, id) WHERE device_id <> '';
CREATE INDEX jobs_status ON jobs (status, created_at, id);
CREATE INDEX jobs_next_run_at ON jobs (next_run_at) WHERE next_run_at IS NOT NULL;

CREATE TABLE job_runs (
    id          TEXT PRIMARY KEY,
    job_id      TEXT NOT NULL REFERENCES jobs (id),
    firing_id   TEXT NOT NULL,
    attempt     BIGINT NOT NULL,
    status      TEXT NOT NULL,
    due_at      BIGINT NOT NULL,
    queued_at   BIGINT NOT NULL,
    started_at  BIGINT,
    finished_at BIGINT,
    result      TEXT NOT NULL,
    error       TEXT NOT NULL,
    deadline    BIGINT
);
CREATE INDEX job_runs_job_id ON job_runs (job_id, queued_at, id);
CREATE INDEX job_runs_deadline ON job_runs (deadline) WHERE deadline IS NOT NULL;

-- +goose Down
DROP TABLE job_runs;
DROP TABLE jobs;
