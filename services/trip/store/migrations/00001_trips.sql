-- +goose Up
CREATE TABLE trips (
    id               TEXT PRIMARY KEY,
    version          BIGINT NOT NULL,
    status           TEXT NOT NULL,
    account_id       TEXT NOT NULL,
    vehicle_id       TEXT NOT NULL,
    start_at         BIGINT NOT NULL, -- of start_position: what lists sort by
    start_position   TEXT NOT NULL,   -- JSON, as are the other positions
    last_position    TEXT,
    end_position     TEXT,
    gap              BOOLEAN NOT NULL,
    fixes            BIGINT NOT NULL,
    distance_metres  DOUBLE PRECISION NOT NULL,
    distance_source  TEXT NOT NULL,
    tariff           TEXT NOT NULL,   -- JSON
    duration_seconds BIGINT NOT NULL,
    fee_minor        BIGINT NOT NULL,
    source           TEXT NOT NULL,
    external_id      TEXT NOT NULL
);

CREATE UNIQUE INDEX trips_open_account ON trips (account_id) WHERE status IN ('UNLOCKING', 'IN_PROGRESS');
CREATE UNIQUE INDEX trips_open_vehicle ON trips (vehicle_id) WHERE status IN ('UNLOCKING', 'IN_PROGRESS');
CREATE UNIQUE INDEX trips_recording ON trips (source, external_id) WHERE source <> '';
CREATE INDEX trips_newest ON trips (start_at, id);
CREATE INDEX trips_account_newest ON trips (account_id, start_at, id);
CREATE INDEX trips_vehicle_newest ON trips (vehicle_id, start_at, id);
CREATE INDEX trips_status_newest ON trips (status, start_at, id);

CREATE TABLE fixes (
    trip_id        TEXT NOT NULL REFERENCES trips (id),
    ordinal        BIGINT NOT NULL, -- the order of arrival, from 1
    at             BIGINT NOT NULL,
    latitude       DOUBLE PRECISION NOT NULL,
    longitude      DOUBLE PRECISION NOT NULL,
    accuracy       DOUBLE PRECISION,
    place          TEXT NOT NULL,
    starts_segment BOOLEAN NOT NULL,
    rejection      TEXT NOT NULL,   -- why it does not count; '' when it does
    PRIMARY KEY (trip_id, ordinal)
);

CREATE UNIQUE INDEX fixes_once ON fixes (trip_id, at, latitude, longitude);

-- +goose Down
DROP TABLE fixes;
DROP TABLE trips;
