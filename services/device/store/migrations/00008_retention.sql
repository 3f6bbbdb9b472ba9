-- +goose Up
-- What is let go is found by its age.
CREATE INDEX commands_finished ON commands (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX device_events_age ON device_events (at);

-- +goose Down
DROP INDEX device_events_age;
DROP INDEX commands_finished;
