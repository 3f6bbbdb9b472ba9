package sqldb

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
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
		done, err := recall(ctx, tx, key, now, &result)
		if err != nil || done {
			return err
		}
		if result, err = change(tx); err != nil {
			return err
		}
		return storeResult(ctx, tx, key, result)
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

// recall claims the key, so that a concurrent call with the same key waits. It decodes the first result of a used
// key.
func recall(ctx context.Context, tx *Tx, key idempotency.Key, now time.Time, result any) (done bool, err error) {
	if key.Zero() {
		return false, nil
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM idempotency WHERE created_at < $1`, Micros(now.Add(-idempotency.Retention))); err != nil {
		return false, fmt.Errorf("delete expired idempotency keys: %w", err)
	}
	claimed, err := Affects(tx.ExecContext(ctx, `INSERT INTO idempotency (caller, value, fingerprint, result, created_at)
		VALUES ($1, $2, $3, '', $4) ON CONFLICT (caller, value) DO NOTHING`, key.Caller, key.Value, key.Fingerprint, Micros(now)))
	if err != nil {
		return false, fmt.Errorf("claim the idempotency key: %w", err)
	}
	if claimed {
		return false, nil
	}
	return true, firstResult(ctx, tx, key, result)
}

func firstResult(ctx context.Context, tx *Tx, key idempotency.Key, result any) error {
	var fingerprint, stored string
	err := tx.QueryRowContext(ctx, `SELECT fingerprint, result FROM idempotency WHERE caller = $1 AND value = $2`,
		key.Caller, key.Value).Scan(&fingerprint, &stored)
	if errors.Is(err, sql.ErrNoRows) {
		return errs.New(errs.Aborted, "IDEMPOTENCY_KEY_BUSY", "another call under this idempotency key has just failed: try again")
	}
	if err != nil {
		return fmt.Errorf("read the idempotency key: %w", err)
	}
	if fingerprint != key.Fingerprint {
		return errs.New(errs.Aborted, errs.ReasonKeyReused, "this idempotency key was used with another input")
	}
	if err := json.Unmarshal([]byte(stored), result); err != nil {
		return fmt.Errorf("read the first result: %w", err)
	}
	return nil
}

func storeResult(ctx context.Context, tx *Tx, key idempotency.Key, result any) error {
	if key.Zero() {
		return nil
	}
	stored, err := json.Marshal(result)
	if err != nil {
		return fmt.Errorf("store the result: %w", err)
	}
	_, err = tx.ExecContext(ctx, `UPDATE idempotency SET result = $1 WHERE caller = $2 AND value = $3`, string(stored), key.Caller, key.Value)
	if err != nil {
		return fmt.Errorf("store the result: %w", err)
	}
	return nil
}
