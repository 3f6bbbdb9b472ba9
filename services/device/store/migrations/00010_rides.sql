-- +goose Up
-- Rides of a vehicle never overlap: a ride that was stored later fills the gaps between those that were there, so one
-- ride may have several rows.
CREATE TABLE device_rides (
    device_id  TEXT NOT NULL REFERENCES devices (id),
    started_at BIGINT NOT NULL,   -- inclusive
    ended_at   BIGINT,            -- exclusive; NULL while the ride lasts
    ride_id    TEXT NOT NULL,     -- of the trip
    account_id TEXT NOT NULL,
    PRIMARY KEY (device_id, started_at)
);

CREATE INDEX device_rides_ride ON device_rides (ride_id);

ALTER TABLE devices ADD COLUMN privacy TEXT;                       -- JSON; NULL for a device that no ride has used
ALTER TABLE devices ADD COLUMN public_presence TEXT NOT NULL DEFAULT 'UNKNOWN';
ALTER TABLE devices ADD COLUMN position_arrived_at BIGINT;
ALTER TABLE devices ADD COLUMN board_at BIGINT;                    -- when the last report arrived
UPDATE devices SET public_presence = presence;
CREATE INDEX devices_public_presence ON devices (public_presence, kind) WHERE NOT deleted;

-- Old readings are rolled up for each rider on its own.
ALTER TABLE readings_rolled RENAME TO readings_rolled_before;
CREATE TABLE readings_rolled (
    device_id TEXT NOT NULL REFERENCES devices (id),
    key       TEXT NOT NULL,
    at        BIGINT NOT NULL,           -- the start of the step
    rider     TEXT NOT NULL,             -- the account in whose rides the readings were sent; '' for none, '*' for several
    count     BIGINT NOT NULL,
    sum       DOUBLE PRECISION NOT NULL,
    least     DOUBLE PRECISION NOT NULL,
    greatest  DOUBLE PRECISION NOT NULL,
    last      DOUBLE PRECISION NOT NULL,
    last_at   BIGINT NOT NULL,
    PRIMARY KEY (device_id, key, at, rider)
);
INSERT INTO readings_rolled SELECT device_id, key, at, '', count, sum, least, greatest, last, last_at FROM readings_rolled_before;
DROP TABLE readings_rolled_before;

-- +goose Down
ALTER TABLE readings_rolled RENAME TO readings_rolled_after;
CREATE TABLE readings_rolled (
    device_id TEXT NOT NULL REFERENCES devices (id),
    key       TEXT NOT NULL,
    at        BIGINT NOT NULL,
    count     BIGINT NOT NULL,
    sum       DOUBLE PRECISION NOT NULL,
    least     DOUBLE PRECISION NOT NULL,
    greatest  DOUBLE PRECISION NOT NULL,
    last      DOUBLE PRECISION NOT NULL,
    last_at   BIGINT NOT NULL,
    PRIMARY KEY (device_id, key, at)
);
INSERT INTO readings_rolled SELECT device_id, key, at, count, sum, least, greatest, last, last_at FROM readings_rolled_after WHERE rider = '';
DROP TABLE readings_rolled_after;
DROP INDEX devices_public_presence;
ALTER TABLE devices DROP COLUMN board_at;
ALTER TABLE devices DROP COLUMN position_arrived_at;
ALTER TABLE devices DROP COLUMN public_presence;
ALTER TABLE devices DROP COLUMN privacy;
DROP TABLE device_rides;
