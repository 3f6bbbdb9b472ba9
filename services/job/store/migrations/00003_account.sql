-- +goose Up
ALTER TABLE jobs ADD COLUMN account_id TEXT NOT NULL DEFAULT ''; -- the account whose storage the job uses
UPDATE jobs SET account_id = created_by WHERE created_by LIKE 'account/_%' ESCAPE '/';

-- +goose Down
ALTER TABLE jobs DROP COLUMN account_id;
