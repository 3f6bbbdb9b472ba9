-- +goose Up
ALTER TABLE activities ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE activities ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE activities ADD COLUMN digest TEXT NOT NULL DEFAULT ''; -- of the imported values; '' when it was not imported
UPDATE activities SET updated_at = created_at;

-- Earlier versions of activities, and the last versions of withdrawn ones.
CREATE TABLE activity_history (
    activity_id TEXT NOT NULL,
    version     BIGINT NOT NULL,
    source      TEXT NOT NULL,
    external_id TEXT NOT NULL, -- '' for none
    account_id  TEXT NOT NULL, -- '' for everybody's
    withdrawn   BOOLEAN NOT NULL,
    replaced_at BIGINT NOT NULL,
    replaced_by TEXT NOT NULL,
    activity    TEXT NOT NULL, -- JSON
    PRIMARY KEY (activity_id, version)
);
CREATE INDEX activity_history_age ON activity_history (replaced_at);
CREATE INDEX activity_history_withdrawn ON activity_history (source, external_id, account_id) WHERE withdrawn AND external_id <> '';

-- Sums of water that a source states for an interval. The activity of a total has the part that no other activity of
-- the source explains.
CREATE TABLE activity_totals (
    source      TEXT NOT NULL,
    external_id TEXT NOT NULL,
    account_id  TEXT NOT NULL,
    started_at  BIGINT NOT NULL,
    ended_at    BIGINT NOT NULL,
    total       DOUBLE PRECISION NOT NULL,
    activity    TEXT NOT NULL, -- JSON, without an amount
    PRIMARY KEY (source, external_id, account_id)
);
CREATE INDEX activity_totals_time ON activity_totals (account_id, source, started_at);

-- +goose Down
DROP TABLE activity_totals;
DROP TABLE activity_history;
ALTER TABLE activities DROP COLUMN digest;
ALTER TABLE activities DROP COLUMN updated_at;
ALTER TABLE activities DROP COLUMN version;
