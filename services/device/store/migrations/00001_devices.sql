-- +goose Up
CREATE TABLE devices (
    id           TEXT PRIMARY KEY,
    version      BIGINT NOT NULL,
    name         TEXT NOT NULL,
    folded_name  TEXT NOT NULL,   -- in small letters: what is searched
    sort_name    TEXT NOT NULL,   -- the beginning of folded_name: what is sorted by
    kind         TEXT NOT NULL,
    labels       TEXT NOT NULL,   -- JSON; device_labels has the same, to be searched
    presence     TEXT NOT NULL,
    last_seen_at BIGINT,
    position     TEXT,            -- JSON
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    deleted      BOOLEAN NOT NULL,
    source       TEXT NOT NULL,
    external_id  TEXT NOT NULL
);

CREATE UNIQUE INDEX devices_imported ON devices (source, external_id) WHERE source <> '' AND NOT deleted;
CREATE INDEX devices_name ON devices (sort_name, id) WHERE NOT deleted;
CREATE INDEX devices_newest ON devices (created_at, id) WHERE NOT deleted;
CREATE INDEX devices_kind_name ON devices (kind, sort_name, id) WHERE NOT deleted;
CREATE INDEX devices_kind_newest ON devices (kind, created_at, id) WHERE NOT deleted;
CREATE INDEX devices_presence ON devices (presence, kind) WHERE NOT deleted;

CREATE TABLE device_labels (
    device_id TEXT NOT NULL REFERENCES devices (id),
    key       TEXT NOT NULL,
    value     TEXT NOT NULL,
    PRIMARY KEY (device_id, key)
);

CREATE INDEX device_labels_pair ON device_labels (key, value, device_id);

CREATE TABLE device_events (
    id        TEXT PRIMARY KEY,
    device_id TEXT NOT NULL REFERENCES devices (id),
    at        BIGINT NOT NULL,
    type      TEXT NOT NULL,
    message   TEXT NOT NULL,
    actor     TEXT NOT NULL,
    data      TEXT NOT NULL       -- JSON
);

CREATE INDEX device_events_newest ON device_events (device_id, at, id);

-- The value belongs to the key: a clock that is set back gives one time two readings.
CREATE TABLE readings (
    device_id TEXT NOT NULL REFERENCES devices (id),
    key       TEXT NOT NULL,
    at        BIGINT NOT NULL,
    value     DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (device_id, key, at, value)
);

-- +goose Down
DROP TABLE readings;
DROP TABLE device_events;
DROP TABLE device_labels;
DROP TABLE devices;
