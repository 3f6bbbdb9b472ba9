-- +goose Up
-- The bytes of rows by their owner (an account or a device) and table.
CREATE TABLE storage_usage (
    owner TEXT NOT NULL,
    kind  TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    PRIMARY KEY (owner, kind)
);

-- What a transaction adds to storage_usage at its commit. The counters are locked last and in order, so that
-- transactions of several owners do not deadlock. No transaction sees the rows of another one.
CREATE UNLOGGED TABLE storage_changes (
    tx    XID8 NOT NULL DEFAULT pg_current_xact_id(),
    owner TEXT NOT NULL,
    kind  TEXT NOT NULL,
    bytes BIGINT NOT NULL
);
CREATE INDEX storage_changes_tx ON storage_changes (tx);

-- +goose StatementBegin
CREATE FUNCTION storage_fold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    WITH own AS (DELETE FROM storage_changes WHERE tx = pg_current_xact_id() RETURNING owner, kind, bytes)
    INSERT INTO storage_usage (owner, kind, bytes)
    SELECT owner, kind, SUM(bytes) FROM own GROUP BY owner, kind HAVING SUM(bytes) <> 0 ORDER BY owner, kind
    ON CONFLICT (owner, kind) DO UPDATE SET bytes = storage_usage.bytes + excluded.bytes;
    RETURN NULL;
END $$;
-- +goose StatementEnd

CREATE CONSTRAINT TRIGGER storage_fold AFTER INSERT ON storage_changes
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION storage_fold();

-- The tables whose rows are counted. The digest is that of the rule by which they were counted.
CREATE TABLE storage_counted (
    name   TEXT PRIMARY KEY,
    digest TEXT NOT NULL
);

ALTER TABLE idempotency ADD COLUMN account_id TEXT NOT NULL DEFAULT '';
