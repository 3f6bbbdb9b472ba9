-- +goose Up
ALTER TABLE api_keys ADD COLUMN device_labels TEXT NOT NULL DEFAULT 'null'; -- JSON: null for no limit

-- +goose Down
ALTER TABLE api_keys DROP COLUMN device_labels;
