-- +goose Up
-- What is let go is found by its age.
CREATE INDEX jobs_updated_at ON jobs (updated_at);

-- +goose Down
DROP INDEX jobs_updated_at;
