-- +goose Up
-- What is left of readings when they are old: a row for each step.
CREATE TABLE readings_rolled (
    device_id TEXT NOT NULL REFERENCES devices (id),
    key       TEXT NOT NULL,
    at        BIGINT NOT NULL,           -- the start of the step
    count     BIGINT NOT NULL,
    sum       DOUBLE PRECISION NOT NULL,
    least     DOUBLE PRECISION NOT NULL,
    greatest  DOUBLE PRECISION NOT NULL,
    last      DOUBLE PRECISION NOT NULL,
    last_at   BIGINT NOT NULL,
    PRIMARY KEY (device_id, key, at)
);

-- +goose Down
DROP TABLE readings_rolled;
