package sqldb

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/idempotency"
)

// WriteOnce is Write with an idempotency key. A repeat of the key within idempotency.Retention changes nothing and
// returns the first result, or ABORTED if the input differs. The result must survive a round trip through JSON. With
// the zero key it is a plain Write.
func WriteOnce[T any](ctx context.Context, db *DB, key idempotency.Key, now time.Time, change func(tx *Tx) (T, error)) (T, error) {
	var result T
	err := db.Write(ctx, func(tx *Tx) error {
		done, err := db.recall(ctx, tx, key, now, &result)
		if err != nil || done {
			return err
		}
		if result, err = change(tx); err != nil {
			return err
		}
		if err := db.storeResult(ctx, tx, key, result); err != nil {
			return err
		}
		return tx.CheckStorage(ctx, key.AccountID)
	})
	if err != nil {
		var zero T
		return zero, retryable(key, err)
	}
	return result, nil
}

// retryable adds a delay to a write of unknown outcome if a retry with the key is safe.
func retryable(key idempotency.Key, err error) error {
	e, ok := errors.AsType[*errs.Error](err)
	if ok && e.Reason == errs.ReasonOutcomeUnknown && !key.Zero() {
		e.RetryAfter = outageRetry
	}
	return err
}

// recall claims the key, so that a concurrent call with the same key waits for this one. If the key was used before,
// it decodes the first result.
func (db *DB) recall(ctx context.Context, tx *Tx, key idempotency.Key, now time.Time, result any) (done bool, err error) {
	if key.Zero() {
		return false, nil
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM idempotency WHERE created_at < $1`, Micros(now.Add(-idempotency.Retention))); err != nil {
		return false, fmt.Errorf("delete expired idempotency keys: %w", err)
	}
	claimed, err := Affects(tx.ExecContext(ctx, `INSERT INTO idempotency (caller, value, fingerprint, result, created_at, account_id)
		VALUES ($1, $2, $3, '', $4, $5) ON CONFLICT (caller, value) DO NOTHING`, key.Caller, key.Value, db.fingerprints(key)[0], Micros(now), key.AccountID))
	if err != nil {
		return false, fmt.Errorf("claim the idempotency key: %w", err)
	}
	if claimed {
		return false, nil
	}
	return true, db.firstResult(ctx, tx, key, result)
}

func (db *DB) firstResult(ctx context.Context, tx *Tx, key idempotency.Key, result any) error {
	var fingerprint, stored string
	err := tx.QueryRowContext(ctx, `SELECT fingerprint, result FROM idempotency WHERE caller = $1 AND value = $2`,
		key.Caller, key.Value).Scan(&fingerprint, &stored)
	if errors.Is(err, sql.ErrNoRows) {
		return errs.New(errs.Aborted, "IDEMPOTENCY_KEY_BUSY", "another call under this idempotency key has just failed: try again")
	}
	if err != nil {
		return fmt.Errorf("read the idempotency key: %w", err)
	}
	if fingerprint != key.Fingerprint && !slices.Contains(db.fingerprints(key), fingerprint) {
		return errs.New(errs.Aborted, errs.ReasonKeyReused, "this idempotency key was used with another input")
	}
	if stored, err = db.Unseal(resultPlace(key), stored); err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(stored), result); err != nil {
		return fmt.Errorf("read the first result: %w", err)
	}
	return nil
}

func (db *DB) storeResult(ctx context.Context, tx *Tx, key idempotency.Key, result any) error {
	if key.Zero() {
		return nil
	}
	stored, err := json.Marshal(result)
	if err != nil {
		return fmt.Errorf("store the result: %w", err)
	}
	text := string(stored)
	if db.keys != nil {
		if text, err = db.Seal(resultPlace(key), text); err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, `UPDATE idempotency SET result = $1 WHERE caller = $2 AND value = $3`, text, key.Caller, key.Value)
	if err != nil {
		return fmt.Errorf("store the result: %w", err)
	}
	return nil
}

func resultPlace(key idempotency.Key) string {
	return Place("idempotency", "result", key.Caller+" "+key.Value)
}

// fingerprints returns the fingerprint of the input as it may be stored, the newest form first. With keys it is not the
// bare hash, from which a reader of the database could guess a short secret of the input.
func (db *DB) fingerprints(key idempotency.Key) []string {
	if db.keys == nil {
		return []string{key.Fingerprint}
	}
	var all []string
	for _, secret := range db.keys.Derive("idempotency fingerprint", []byte(key.Fingerprint)) {
		all = append(all, hex.EncodeToString(secret))
	}
	return all
}
