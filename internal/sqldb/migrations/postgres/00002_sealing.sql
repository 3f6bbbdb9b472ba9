-- +goose Up
-- What is sealed, and under which key all of it is.
CREATE TABLE sealing (
    place TEXT PRIMARY KEY,
    mark  TEXT NOT NULL
);

-- +goose Down
DROP TABLE sealing;
