-- +goose Up
CREATE TABLE device_streams (
    device_id TEXT PRIMARY KEY REFERENCES devices (id),
    due_at    BIGINT,         -- when to look after it; NULL while nothing is to be done
    body      TEXT NOT NULL   -- JSON: camera.Stream
);

CREATE INDEX device_streams_due ON device_streams (due_at) WHERE due_at IS NOT NULL;

-- +goose Down
DROP TABLE device_streams;
