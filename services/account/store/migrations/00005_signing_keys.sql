-- +goose Up
CREATE TABLE signing_keys (
    number     BIGINT PRIMARY KEY,
    kid        TEXT NOT NULL UNIQUE,
    pem        TEXT NOT NULL, -- sealed
    signs_from BIGINT NOT NULL
);

-- +goose Down
DROP TABLE signing_keys;
