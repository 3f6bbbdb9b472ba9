-- +goose Up
-- The account whose storage a public activity uses.
ALTER TABLE activities ADD COLUMN recorded_by TEXT NOT NULL DEFAULT '';
ALTER TABLE activity_history ADD COLUMN recorded_by TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE activity_history DROP COLUMN recorded_by;
ALTER TABLE activities DROP COLUMN recorded_by;
