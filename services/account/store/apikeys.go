package store

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/account"
)

const selectKeys = `SELECT k.id, k.account_id, a.role, k.name, k.prefix, k.scopes, k.points_per_minute,
	k.created_at, k.expires_at, k.last_used_at, k.revoked_at, k.device_labels, k.makers, k.secret_hash
	FROM api_keys k JOIN accounts a ON a.id = k.account_id`

func scanKeyAndHash(row sqldb.Row) (account.APIKey, account.Hash, error) {
	var key account.APIKey
	var hash account.Hash
	var scopes, labels, makers, secret string
	var created int64
	var expires, used, revoked sql.NullInt64
	err := row.Scan(&key.ID, &key.AccountID, &key.Role, &key.Name, &key.Prefix, &scopes, &key.PointsPerMinute,
		&created, &expires, &used, &revoked, &labels, &makers, &secret)
	if err != nil {
		return account.APIKey{}, account.Hash{}, err
	}
	if err := json.Unmarshal([]byte(scopes), &key.Scopes); err != nil {
		return account.APIKey{}, account.Hash{}, fmt.Errorf("read the scopes: %w", err)
	}
	if err := json.Unmarshal([]byte(labels), &key.DeviceLabels); err != nil {
		return account.APIKey{}, account.Hash{}, fmt.Errorf("read the device labels: %w", err)
	}
	if err := json.Unmarshal([]byte(makers), &key.Makers); err != nil {
		return account.APIKey{}, account.Hash{}, fmt.Errorf("read the makers: %w", err)
	}
	if len(key.Makers) == 0 {
		key.Makers = nil
	}
	if n, err := hex.Decode(hash[:], []byte(secret)); err != nil || n != len(hash) {
		return account.APIKey{}, account.Hash{}, fmt.Errorf("the hash of API key %s does not read", key.ID)
	}
	key.CreatedAt, key.ExpiresAt = sqldb.Time(created), sqldb.NullTime(expires)
	key.LastUsedAt, key.RevokedAt = sqldb.NullTime(used), sqldb.NullTime(revoked)
	return key, hash, nil
}

func scanKey(row sqldb.Row) (account.APIKey, error) {
	key, _, err := scanKeyAndHash(row)
	return key, err
}

// CreateAPIKey is account.APIKeys. The result that is stored for retries is the APIKey, without its secret.
func (s *Store) CreateAPIKey(ctx context.Context, once idempotency.Key, key account.APIKey, makerID string, secret account.Hash) (account.APIKey, error) {
	created, err := sqldb.WriteOnce(ctx, s.db, once, key.CreatedAt, func(tx *sqldb.Tx) (account.APIKey, error) {
		key := key
		if makerID != "" {
			maker, err := lockKey(ctx, tx, makerID)
			if err != nil {
				return account.APIKey{}, err
			}
			if key, err = key.MadeBy(maker, key.CreatedAt); err != nil {
				return account.APIKey{}, err
			}
		}
		if err := insertKey(ctx, tx, key, secret); err != nil {
			return account.APIKey{}, err
		}
		kept, err := readKey(ctx, tx, key.ID)
		if err != nil {
			return account.APIKey{}, err
		}
		if err := s.emitKey(ctx, tx, key.CreatedAt, "created", kept); err != nil {
			return account.APIKey{}, err
		}
		return kept, tx.CheckStorage(ctx, key.AccountID)
	})
	if err != nil {
		return account.APIKey{}, prefixConflict(err)
	}
	return created, nil
}

func insertKey(ctx context.Context, tx *sqldb.Tx, key account.APIKey, secret account.Hash) error {
	scopes, err := json.Marshal(key.Scopes)
	if err != nil {
		return fmt.Errorf("write the scopes: %w", err)
	}
	labels, err := json.Marshal(key.DeviceLabels)
	if err != nil {
		return fmt.Errorf("write the device labels: %w", err)
	}
	makers, err := json.Marshal(append([]string{}, key.Makers...))
	if err != nil {
		return fmt.Errorf("write the makers: %w", err)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO api_keys
		(id, account_id, name, prefix, secret_hash, scopes, points_per_minute, created_at, expires_at, device_labels, makers)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		key.ID, key.AccountID, key.Name, key.Prefix, hexOf(secret), string(scopes), key.PointsPerMinute,
		sqldb.Micros(key.CreatedAt), sqldb.NullMicros(key.ExpiresAt), string(labels), string(makers))
	if err != nil {
		return fmt.Errorf("insert the API key: %w", err)
	}
	if len(key.Makers) == 0 {
		return nil
	}
	rows := make([][]any, len(key.Makers))
	for i, maker := range key.Makers {
		rows[i] = []any{maker, key.ID}
	}
	_, err = tx.Insert(ctx, "api_key_makers", "maker_id, key_id", rows, "")
	return err
}

func prefixConflict(err error) error {
	if sqldb.Violates(err, "api_keys_prefix", "api_keys.prefix") {
		return account.ErrPrefixTaken
	}
	return err
}

// RotateAPIKey is account.APIKeys.
func (s *Store) RotateAPIKey(ctx context.Context, once idempotency.Key, id, prefix string, secret account.Hash, now time.Time) (account.APIKey, error) {
	rotated, err := sqldb.WriteOnce(ctx, s.db, once, now, func(tx *sqldb.Tx) (account.APIKey, error) {
		key, err := lockKey(ctx, tx, id)
		if err != nil {
			return account.APIKey{}, err
		}
		if key, err = key.Rotate(prefix, now); err != nil {
			return account.APIKey{}, err
		}
		_, err = tx.ExecContext(ctx, `UPDATE api_keys SET prefix = $1, secret_hash = $2 WHERE id = $3`, key.Prefix, hexOf(secret), id)
		if err != nil {
			return account.APIKey{}, fmt.Errorf("change the secret: %w", err)
		}
		return key, s.emitKey(ctx, tx, now, "rotated", key)
	})
	if err != nil {
		return account.APIKey{}, prefixConflict(err)
	}
	return rotated, nil
}

// RevokeAPIKey is account.APIKeys. A key that is being made has its maker's row locked, so it is found after that row was.
func (s *Store) RevokeAPIKey(ctx context.Context, id string, now time.Time) (account.APIKey, error) {
	var revoked account.APIKey
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		key, err := lockKey(ctx, tx, id)
		if err != nil {
			return err
		}
		if revoked, err = s.revoke(ctx, tx, key, now); err != nil {
			return err
		}
		for more := true; more && err == nil; {
			more, err = s.revokeMade(ctx, tx, id, now)
		}
		return err
	})
	if err != nil {
		return account.APIKey{}, err
	}
	return revoked, nil
}

// revokeMade revokes the keys that the key made, and reports whether there were any.
func (s *Store) revokeMade(ctx context.Context, tx *sqldb.Tx, id string, now time.Time) (some bool, err error) {
	made, err := sqldb.Select(ctx, tx, sqldb.Text, `SELECT m.key_id FROM api_key_makers m JOIN api_keys k ON k.id = m.key_id
		WHERE m.maker_id = $1 AND k.revoked_at IS NULL ORDER BY k.created_at, k.id`, id)
	if err != nil {
		return false, fmt.Errorf("find the keys that it made: %w", err)
	}
	for _, child := range made {
		key, err := lockKey(ctx, tx, child)
		if err != nil {
			return false, err
		}
		if _, err := s.revoke(ctx, tx, key, now); err != nil {
			return false, err
		}
	}
	return len(made) > 0, nil
}

func (s *Store) revoke(ctx context.Context, tx *sqldb.Tx, key account.APIKey, now time.Time) (account.APIKey, error) {
	revoked, changed := key.Revoke(now)
	if !changed {
		return revoked, nil
	}
	if _, err := tx.ExecContext(ctx, `UPDATE api_keys SET revoked_at = $1 WHERE id = $2`, sqldb.NullMicros(revoked.RevokedAt), key.ID); err != nil {
		return account.APIKey{}, fmt.Errorf("revoke: %w", err)
	}
	return revoked, s.emitKey(ctx, tx, now, "revoked", revoked)
}

func lockKey(ctx context.Context, tx *sqldb.Tx, id string) (account.APIKey, error) {
	if _, err := tx.ExecContext(ctx, `UPDATE api_keys SET name = name WHERE id = $1`, id); err != nil {
		return account.APIKey{}, fmt.Errorf("lock the API key: %w", err)
	}
	return readKey(ctx, tx, id)
}

func readKey(ctx context.Context, tx *sqldb.Tx, id string) (account.APIKey, error) {
	key, err := scanKey(tx.QueryRowContext(ctx, selectKeys+` WHERE k.id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return account.APIKey{}, errs.Missing("API key", id)
	}
	if err != nil {
		return account.APIKey{}, fmt.Errorf("read the API key: %w", err)
	}
	return key, nil
}

func (s *Store) emitKey(ctx context.Context, tx *sqldb.Tx, now time.Time, change string, key account.APIKey) error {
	payload, err := s.encodeAPIKey(key)
	if err != nil {
		return fmt.Errorf("encode the API key: %w", err)
	}
	return tx.Emit(ctx, now, "event.apikey."+change+"."+key.ID, payload)
}

// FindAPIKey is account.APIKeys.
func (s *Store) FindAPIKey(ctx context.Context, prefix string) (account.APIKey, account.Hash, error) {
	key, hash, err := scanKeyAndHash(s.db.Read().QueryRowContext(ctx, selectKeys+` WHERE k.prefix = $1`, prefix))
	if errors.Is(err, sql.ErrNoRows) {
		return account.APIKey{}, account.Hash{}, account.ErrAPIKeyUnknown
	}
	if err != nil {
		return account.APIKey{}, account.Hash{}, fmt.Errorf("look up the prefix: %w", err)
	}
	return key, hash, nil
}

// TouchAPIKey is account.APIKeys.
func (s *Store) TouchAPIKey(ctx context.Context, id string, now, since time.Time) error {
	return s.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE api_keys SET last_used_at = $1
			WHERE id = $2 AND (last_used_at IS NULL OR last_used_at <= $3)`, sqldb.Micros(now), id, sqldb.Micros(since))
		if err != nil {
			return fmt.Errorf("note the use: %w", err)
		}
		return nil
	})
}

// ListAPIKeys is account.APIKeys.
func (s *Store) ListAPIKeys(ctx context.Context, filter account.APIKeyFilter, limit int) ([]account.APIKey, error) {
	var where sqldb.Where
	if filter.AccountID != "" {
		where.And("k.account_id = ?", filter.AccountID)
	}
	if filter.Maker != "" {
		where.And("k.id IN (SELECT key_id FROM api_key_makers WHERE maker_id = ?)", filter.Maker)
	}
	return s.keys(ctx, &where, " ORDER BY k.created_at DESC, k.id DESC LIMIT "+where.Arg(limit))
}

// GetAPIKeys is account.APIKeys.
func (s *Store) GetAPIKeys(ctx context.Context, ids []string) ([]account.APIKey, error) {
	var where sqldb.Where
	where.In("k.id", ids)
	return s.keys(ctx, &where, "")
}

func (s *Store) keys(ctx context.Context, where *sqldb.Where, tail string) ([]account.APIKey, error) {
	keys, err := sqldb.Select(ctx, s.db.Read(), scanKey, selectKeys+where.SQL()+tail, where.Args()...)
	if err != nil {
		return nil, fmt.Errorf("read API keys: %w", err)
	}
	return keys, nil
}
