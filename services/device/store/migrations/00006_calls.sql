-- +goose Up
CREATE TABLE device_calls (
    id         TEXT PRIMARY KEY,
    device_id  TEXT NOT NULL,
    at         BIGINT NOT NULL,
    api_key_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    name       TEXT NOT NULL,
    outcome    TEXT NOT NULL,
    reason     TEXT NOT NULL,
    took       BIGINT NOT NULL,   -- microseconds
    trace_id   TEXT NOT NULL
);

CREATE INDEX device_calls_newest ON device_calls (at, id);
CREATE INDEX device_calls_device ON device_calls (device_id, at, id);
CREATE INDEX device_calls_key ON device_calls (api_key_id, at, id);

-- +goose Down
DROP TABLE device_calls;
