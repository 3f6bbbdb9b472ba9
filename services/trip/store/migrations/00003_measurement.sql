-- +goose Up
ALTER TABLE trips ADD COLUMN measurement TEXT NOT NULL DEFAULT '{}';           -- JSON: the state of the distance
ALTER TABLE trips ADD COLUMN max_speed DOUBLE PRECISION NOT NULL DEFAULT 80;   -- metres a second

-- +goose Down
ALTER TABLE trips DROP COLUMN max_speed;
ALTER TABLE trips DROP COLUMN measurement;
