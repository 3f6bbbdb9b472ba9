-- +goose Up
CREATE TABLE device_secrets (
    device_id TEXT PRIMARY KEY REFERENCES devices (id),
    hash      TEXT NOT NULL,      -- SHA-256 in hexadecimal
    made_at   BIGINT NOT NULL
);

ALTER TABLE devices ADD COLUMN presence_told TEXT NOT NULL DEFAULT 'UNKNOWN';
ALTER TABLE devices ADD COLUMN presence_at BIGINT NOT NULL DEFAULT 0; -- of the last signal that counted
ALTER TABLE devices ADD COLUMN presence_due_at BIGINT;                -- when it is OFFLINE
ALTER TABLE devices ADD COLUMN board TEXT;                            -- JSON, as last reported
ALTER TABLE devices ADD COLUMN firmware TEXT NOT NULL DEFAULT '';
ALTER TABLE readings ADD COLUMN arrived_at BIGINT;

CREATE INDEX devices_presence_due ON devices (presence_due_at) WHERE presence_due_at IS NOT NULL;

-- +goose Down
DROP INDEX devices_presence_due;
ALTER TABLE readings DROP COLUMN arrived_at;
ALTER TABLE devices DROP COLUMN firmware;
ALTER TABLE devices DROP COLUMN board;
ALTER TABLE devices DROP COLUMN presence_due_at;
ALTER TABLE devices DROP COLUMN presence_at;
ALTER TABLE devices DROP COLUMN presence_told;
DROP TABLE device_secrets;
