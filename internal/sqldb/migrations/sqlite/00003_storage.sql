-- +goose Up
-- The bytes of rows by their owner (an account or a device) and table.
CREATE TABLE storage_usage (
    owner TEXT NOT NULL,
    kind  TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    PRIMARY KEY (owner, kind)
) WITHOUT ROWID;

-- The tables whose rows are counted. The digest is that of the rule by which they were counted.
CREATE TABLE storage_counted (
    name   TEXT PRIMARY KEY,
    digest TEXT NOT NULL
);

ALTER TABLE idempotency ADD COLUMN account_id TEXT NOT NULL DEFAULT '';
