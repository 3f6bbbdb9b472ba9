-- +goose Up
ALTER TABLE trips ADD COLUMN unlock_by BIGINT;                    -- by when the vehicle must have opened
ALTER TABLE trips ADD COLUMN errand TEXT NOT NULL DEFAULT '';     -- what is still to be done about the vehicle
ALTER TABLE trips ADD COLUMN errand_at BIGINT;                    -- when
ALTER TABLE trips ADD COLUMN failure TEXT NOT NULL DEFAULT '';    -- why it failed
CREATE INDEX trips_errands ON trips (errand_at) WHERE errand_at IS NOT NULL;

-- +goose Down
DROP INDEX trips_errands;
ALTER TABLE trips DROP COLUMN failure;
ALTER TABLE trips DROP COLUMN errand_at;
ALTER TABLE trips DROP COLUMN errand;
ALTER TABLE trips DROP COLUMN unlock_by;
