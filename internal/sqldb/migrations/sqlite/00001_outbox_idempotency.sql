-- +goose Up
CREATE TABLE outbox (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT NOT NULL,
    subject    TEXT NOT NULL,
    data       BLOB NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE TABLE idempotency (
    caller      TEXT NOT NULL,
    value       TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    result      TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (caller, value)
);
CREATE INDEX idempotency_created_at ON idempotency (created_at);
