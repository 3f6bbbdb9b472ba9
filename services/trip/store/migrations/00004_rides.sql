-- +goose Up
-- When the device service is to be told of the ride of a trip; NULL when it knows it. It knows none so far.
ALTER TABLE trips ADD COLUMN ride_due BIGINT;
UPDATE trips SET ride_due = 0 WHERE status <> 'UNLOCKING';
CREATE INDEX trips_rides ON trips (ride_due) WHERE ride_due IS NOT NULL;

-- Rides that the device service is told of before their trips exist.
CREATE TABLE planned_rides (
    trip_id    TEXT PRIMARY KEY,
    vehicle_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    start_at   BIGINT NOT NULL,
    due_at     BIGINT NOT NULL -- when the start has failed if the trip does not exist
);

CREATE INDEX planned_rides_due ON planned_rides (due_at);

-- +goose Down
DROP TABLE planned_rides;
DROP INDEX trips_rides;
ALTER TABLE trips DROP COLUMN ride_due;
