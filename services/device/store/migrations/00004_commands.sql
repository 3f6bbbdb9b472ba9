-- +goose Up
CREATE TABLE commands (
    id              TEXT PRIMARY KEY,
    device_id       TEXT NOT NULL REFERENCES devices (id),
    version         BIGINT NOT NULL,
    name            TEXT NOT NULL,
    arguments       TEXT NOT NULL,   -- JSON
    status          TEXT NOT NULL,
    caller          TEXT NOT NULL,
    reference       TEXT NOT NULL,   -- what it is done for; '' for none
    timeout         BIGINT NOT NULL, -- microseconds
    queue_until     BIGINT,
    deadline        BIGINT NOT NULL,
    due_at          BIGINT,          -- when to look after it; NULL once it is over
    sends           BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    sent_at         BIGINT,
    last_sent_at    BIGINT,
    acknowledged_at BIGINT,
    finished_at     BIGINT,
    result          TEXT NOT NULL,   -- JSON, or ''
    reason          TEXT NOT NULL,
    error           TEXT NOT NULL,
    log_lines       BIGINT NOT NULL,
    log_bytes       BIGINT NOT NULL
);

CREATE INDEX commands_newest ON commands (device_id, created_at, id);
CREATE INDEX commands_due ON commands (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX commands_open ON commands (device_id, id) WHERE due_at IS NOT NULL;
CREATE UNIQUE INDEX commands_reference ON commands (reference) WHERE reference <> '' AND name = 'unlock';

CREATE TABLE command_log (
    command_id TEXT NOT NULL REFERENCES commands (id),
    digest     TEXT NOT NULL,        -- of what the device said and when: the same again is no new line
    device_id  TEXT NOT NULL,
    ordinal    BIGINT NOT NULL,
    at         BIGINT NOT NULL,
    stream     TEXT NOT NULL,
    text       TEXT NOT NULL,
    PRIMARY KEY (command_id, digest)
);

CREATE INDEX command_log_order ON command_log (command_id, ordinal);
CREATE INDEX command_log_device ON command_log (device_id, at, command_id, ordinal);

ALTER TABLE devices ADD COLUMN lock_state TEXT NOT NULL DEFAULT ''; -- '' for what has no lock
ALTER TABLE devices ADD COLUMN lock_rest TEXT;                      -- JSON: the rest of what is known of the lock
ALTER TABLE devices ADD COLUMN lock_due_at BIGINT;                  -- when to lock it
CREATE INDEX devices_lock_due ON devices (lock_due_at) WHERE lock_due_at IS NOT NULL;

-- +goose Down
DROP INDEX devices_lock_due;
ALTER TABLE devices DROP COLUMN lock_due_at;
ALTER TABLE devices DROP COLUMN lock_rest;
ALTER TABLE devices DROP COLUMN lock_state;
DROP TABLE command_log;
DROP TABLE commands;
