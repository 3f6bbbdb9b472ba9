-- +goose Up
-- The last will of a session's connection, which outlives the process that holds it.
ALTER TABLE device_sessions ADD COLUMN will TEXT; -- JSON; NULL for none
ALTER TABLE device_sessions ADD COLUMN will_due_at BIGINT; -- when it is published; NULL while connected

CREATE INDEX device_sessions_will_due ON device_sessions (will_due_at) WHERE will_due_at IS NOT NULL;

-- +goose Down
DROP INDEX device_sessions_will_due;
ALTER TABLE device_sessions DROP COLUMN will_due_at;
ALTER TABLE device_sessions DROP COLUMN will;
