-- +goose Up
-- The whole payload where it has secrets, sealed; payload is then masked.
ALTER TABLE jobs ADD COLUMN secret_payload TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE jobs DROP COLUMN secret_payload;
