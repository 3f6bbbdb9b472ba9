-- +goose Up
CREATE TABLE device_configs (
    device_id         TEXT PRIMARY KEY REFERENCES devices (id),
    desired           TEXT NOT NULL,   -- JSON
    desired_version   BIGINT NOT NULL, -- 0 while nothing was wanted
    desired_at        BIGINT,
    reported          TEXT NOT NULL,   -- JSON; '' while nothing was reported
    reported_version  BIGINT,
    reported_at       BIGINT,
    delivered_version BIGINT NOT NULL
);

CREATE INDEX device_configs_undelivered ON device_configs (device_id) WHERE desired_version > delivered_version;

CREATE TABLE device_config_versions (
    id        TEXT PRIMARY KEY,
    device_id TEXT NOT NULL REFERENCES devices (id),
    version   BIGINT NOT NULL,
    desired   TEXT NOT NULL,
    at        BIGINT NOT NULL,
    actor     TEXT NOT NULL
);

CREATE UNIQUE INDEX device_config_versions_newest ON device_config_versions (device_id, version);

CREATE TABLE device_config_schemas (
    kind       TEXT PRIMARY KEY,
    schema     TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    actor      TEXT NOT NULL
);

-- +goose Down
DROP TABLE device_config_schemas;
DROP TABLE device_config_versions;
DROP TABLE device_configs;
