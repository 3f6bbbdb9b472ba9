-- +goose Up
CREATE TABLE device_secrets (
    device_id TEXT PRIMARY KEY REFERENCES devices (id),
    hash      TEXT NOT NULL,      -- SHA-256 in hexadecimal
    made_at   BIGINT NOT NULL
);

-- +goose Down
DROP TABLE device_secrets;
