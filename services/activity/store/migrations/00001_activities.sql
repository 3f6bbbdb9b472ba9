-- +goose Up
CREATE TABLE activities (
    id                TEXT PRIMARY KEY,
    kind              TEXT NOT NULL,
    source            TEXT NOT NULL,
    external_id       TEXT NOT NULL, -- '' for none
    account_id        TEXT NOT NULL, -- '' for everybody's
    title             TEXT NOT NULL,
    content           TEXT NOT NULL,
    started_at        BIGINT NOT NULL,
    ended_at          BIGINT,
    actor             TEXT NOT NULL,
    organisation      TEXT NOT NULL,
    subject           TEXT NOT NULL,
    amount            DOUBLE PRECISION,
    unit              TEXT NOT NULL,
    position          TEXT,          -- JSON
    right_ascension   DOUBLE PRECISION,
    declination       DOUBLE PRECISION,
    epoch             TEXT,
    site              TEXT NOT NULL,
    telescope         TEXT NOT NULL,
    instrument        TEXT NOT NULL,
    programme         TEXT NOT NULL,
    observer          TEXT NOT NULL,
    target            TEXT NOT NULL,
    status            TEXT NOT NULL, -- of the observation
    device_id         TEXT NOT NULL,
    trip_id           TEXT NOT NULL,
    job_id            TEXT NOT NULL,
    links             TEXT NOT NULL, -- JSON
    data              TEXT NOT NULL, -- JSON; '' for none
    created_at        BIGINT NOT NULL,

    -- What filters compare: texts in lower case, as the engines do not agree on lower(), and the
    -- direction on the sky as a point of the unit sphere.
    actor_folded      TEXT NOT NULL,
    telescope_folded  TEXT NOT NULL,
    instrument_folded TEXT NOT NULL,
    programme_folded  TEXT NOT NULL,
    observer_folded   TEXT NOT NULL,
    target_folded     TEXT NOT NULL,
    status_folded     TEXT NOT NULL,
    sky_x             DOUBLE PRECISION,
    sky_y             DOUBLE PRECISION,
    sky_z             DOUBLE PRECISION
);

CREATE UNIQUE INDEX activities_external ON activities (source, external_id, account_id) WHERE external_id <> '';
CREATE INDEX activities_newest ON activities (started_at, id);
CREATE INDEX activities_kind_newest ON activities (kind, started_at, id);
CREATE INDEX activities_account_newest ON activities (account_id, started_at, id);
CREATE INDEX activities_account_kind_newest ON activities (account_id, kind, started_at, id);
CREATE INDEX activities_device_newest ON activities (device_id, started_at, id) WHERE device_id <> '';
CREATE INDEX activities_sky ON activities (sky_z) WHERE sky_z IS NOT NULL;

-- +goose Down
DROP TABLE activities;
