-- +goose Up
-- Tokens of before have generation 1, or 0 when they were used; rotated_at 0 is long ago.
ALTER TABLE sessions ADD COLUMN generation BIGINT NOT NULL DEFAULT 1;
ALTER TABLE sessions ADD COLUMN seen BIGINT NOT NULL DEFAULT 1;
ALTER TABLE sessions ADD COLUMN rotated_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE refresh_tokens ADD COLUMN generation BIGINT NOT NULL DEFAULT 1;
UPDATE refresh_tokens SET generation = 0 WHERE used;
CREATE INDEX refresh_tokens_generation ON refresh_tokens (session_id, generation);
DROP INDEX refresh_tokens_session_id;

-- +goose Down
CREATE INDEX refresh_tokens_session_id ON refresh_tokens (session_id);
DROP INDEX refresh_tokens_generation;
ALTER TABLE refresh_tokens DROP COLUMN generation;
ALTER TABLE sessions DROP COLUMN rotated_at;
ALTER TABLE sessions DROP COLUMN seen;
ALTER TABLE sessions DROP COLUMN generation;
