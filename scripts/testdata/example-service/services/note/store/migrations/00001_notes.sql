-- +goose Up
CREATE TABLE notes (
    id         TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    text       TEXT NOT NULL,
    created_at BIGINT NOT NULL -- microseconds since 1970
);
