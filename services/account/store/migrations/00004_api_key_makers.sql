-- +goose Up
-- JSON: the keys that made this one, the first maker first. A key of before has none.
ALTER TABLE api_keys ADD COLUMN makers TEXT NOT NULL DEFAULT '[]';
CREATE TABLE api_key_makers (
    maker_id TEXT NOT NULL REFERENCES api_keys (id),
    key_id   TEXT NOT NULL REFERENCES api_keys (id),
    CONSTRAINT api_key_makers_pkey PRIMARY KEY (maker_id, key_id)
);

-- +goose Down
DROP TABLE api_key_makers;
ALTER TABLE api_keys DROP COLUMN makers;
